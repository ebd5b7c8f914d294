//! `usher logs`: every part's lines in one order, and on through restarts and rotation.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
};

use kit::testing::{SOON, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    processes::signal,
    world::{World, refusal, usher},
};

/// `usher logs --follow`, and what it has said; ended when dropped.
struct Following {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Following {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let said = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        let mut command = usher();
        command.args(["logs", "--follow", "--data"]).arg(data);
        command
            .args(arguments)
            .stdout(File::create(said.path()).expect("the file can be written"))
            .stderr(Stdio::null());
        let child = command.spawn().expect("usher can be run");
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.said.path()).expect("the file can be read")
    }

    async fn says(&self, text: &str) {
        eventually(text, SOON, async || {
            self.said().contains(text).then_some(())
        })
        .await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let output = world.command(&[&["logs"], arguments].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let read = |line| serde_json::from_str(line).expect("each line is JSON");
    said.lines().map(read).collect()
}

#[tokio::test]
async fn the_logs_of_all_parts_are_one_story_through_restarts_and_after_the_end() {
    let mut world = World::start(&[]).await;
    world.sign_up("ada@example.com");
    world.code_for("ada@example.com").await;
    let following = Following::start(&world.data(), &["accounts", "--tail", "1", "--quiet"]);
    following.says("\n").await;
    let starts = || following.said().matches("Listening.").count();
    let before = starts();
    world.kill("accounts").await;
    let again = async || (starts() > before).then_some(());
    eventually("the second life's lines", SOON, again).await;

    let all = lines(&world, &[]);
    let times = Vec::from_iter(all.iter().map(|line| line["at"].as_str().unwrap().len()));
    assert!(times.iter().all(|length| *length > 0), "{all:?}");
    let by_time = |line: &Value| {
        let at = line["at"].as_str().expect("each line has a moment");
        time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339)
            .expect("it is RFC 3339")
    };
    assert!(all.is_sorted_by_key(by_time), "{all:?}");
    for part in ["accounts", "verification", "mailer", "nats-server"] {
        assert!(all.iter().any(|line| line["part"] == part), "{part}");
        let of_part = lines(&world, &[part]);
        assert!(!of_part.is_empty() && of_part.iter().all(|line| line["part"] == part));
    }
    let starts = |line: &&Value| {
        line["part"] == "accounts" && line["line"].as_str().unwrap().contains("Listening.")
    };
    assert_eq!(
        all.iter().filter(starts).count(),
        2,
        "both of its lives: {all:?}"
    );
    let serious = lines(&world, &["--level", "warn"]);
    assert!(serious.len() < all.len());
    assert!(
        serious
            .iter()
            .all(|line| line["level"] == "warn" || line["level"] == "error")
    );

    world.stop_by(Signal::TERM);
    let all = lines(&world, &[]);
    assert_eq!(lines(&world, &["--since", "1h"]).len(), all.len());
    assert_eq!(lines(&world, &["--since", "1us"]).len(), 0);
    let ended = lines(&world, &["accounts", "--tail", "5"]);
    assert_eq!(ended.len(), 5);
    let last = ended
        .iter()
        .any(|line| line["line"].as_str().unwrap().contains("Shutting down"));
    assert!(last, "{ended:?}");
}

#[tokio::test]
async fn followers_lose_no_line_when_a_log_is_put_aside() {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = data.path().join("logs");
    fs::create_dir(&folder).expect("the folder can be written");
    let line = |second: u32, text: &str| {
        format!("2026-11-26T19:00:{second:02}.000000Z  INFO test: {text}\n")
    };
    let append = |file: &str, text: &str| {
        use std::io::Write as _;
        let file = File::options()
            .create(true)
            .append(true)
            .open(folder.join(file));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("the folder can be written");
    };
    append("mailer.log.1", &line(1, "aside"));
    append("mailer.log", &line(3, "kept"));
    append("accounts.log", &line(2, "other"));
    append(
        "nats-server.log",
        "[7] 2026/11/26 19:00:04.000000 [WRN] broker\n",
    );
    let following = Following::start(data.path(), &["--quiet"]);
    following.says("broker").await;

    append("mailer.log", &line(5, "before")[..20]);
    append("mailer.log", &line(5, "before")[20..]);
    append("mailer.log", "   its second line\n");
    fs::rename(folder.join("mailer.log"), folder.join("mailer.log.1")).expect("it has a name");
    append("mailer.log.1", &line(6, "late"));
    append("mailer.log", &line(7, "after"));
    following.says("after").await;
    append("verification.log", &line(8, "new part"));
    following.says("new part").await;

    let said = following.said();
    let words = Vec::from_iter(said.lines().filter_map(|line| line.rsplit(' ').next()));
    let expected = [
        "aside", "other", "kept", "broker", "before", "line", "late", "after", "part",
    ];
    assert_eq!(words, expected);
}

#[test]
fn where_there_are_no_logs_it_is_said_what_writes_them() {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = usher();
    command
        .args(["logs", "--output", "json", "--data"])
        .arg(data.path());
    let (code, error) = refusal(&command.output().expect("usher can be run"));
    assert_eq!(code, 3);
    let hint = error["hint"].as_str().expect("there is advice");
    assert!(
        hint.contains("usher up") && hint.contains("--data"),
        "{hint}"
    );
}
