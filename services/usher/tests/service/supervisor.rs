//! `usher up` as a parent: one at a time, children that live again, nothing left behind.

use std::{fs, os::unix::fs::PermissionsExt as _};

use kit::testing::{NatsServer, SOON, eventually, processes};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    processes::signal,
    world::{World, refusal, usher},
};

#[tokio::test]
async fn a_second_up_on_the_same_folder_is_told_who_runs() {
    let world = World::start(&[]).await;
    let mut second = usher();
    second
        .args(["up", "--ports", "auto", "--output", "json", "--data"])
        .arg(world.data());
    let (code, error) = refusal(&second.output().expect("usher can be run"));
    assert_eq!(code, 4);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(&format!("process {}", world.pid())),
        "{message}"
    );
}

#[tokio::test]
async fn i18_a_signal_ends_everything_within_ten_seconds() {
    for by in [Signal::TERM, Signal::INT] {
        let mut world = World::start(&[]).await;
        let children = world.children();
        assert_eq!(children.len(), 4, "{:?}", processes());
        let status = world.stop_by(by);
        assert!(status.success(), "{status}: {}", world.said());
        assert!(
            !world.said().contains("is killed"),
            "a child was cut: {}",
            world.said()
        );
        let left: Vec<_> = processes()
            .into_iter()
            .filter(|process| children.contains(&process.id))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!world.data().join("run.json").exists());
    }
}

#[tokio::test]
async fn when_up_is_killed_its_services_drain_and_the_next_one_ends_the_broker_left_behind() {
    let mut world = World::start(&[]).await;
    world.sign_up("before@example.com");
    let nats = world.service("nats.conf").expect("nats-server runs");
    let services = ["accounts", "verification", "mailer"]
        .map(|name| world.service(name).expect("the service runs"));
    world.stop_by(Signal::KILL);
    let alive = |pid: u32| processes().iter().any(|process| process.id == pid);
    eventually("the services to end with their parent", SOON, async || {
        (!services.iter().any(|pid| alive(*pid))).then_some(())
    })
    .await;
    assert!(alive(nats), "the broker has no parent to watch");
    let findings: serde_json::Value =
        serde_json::from_slice(&world.command(&["doctor"]).stdout).expect("the output is JSON");
    let what = findings[0]["what"].as_str().unwrap_or_default();
    assert!(
        what.starts_with("does not run on this folder"),
        "run.json of a dead process is used: {what}"
    );
    world.start_again(&[]).await;
    assert!(!alive(nats), "the next start ends it");
    let accounts = world.json(&["account", "list"]);
    assert_eq!(accounts[0]["email"], "before@example.com");
}

#[tokio::test]
async fn a_process_that_is_not_our_broker_is_left_alone() {
    let mut world = World::start(&[]).await;
    world.stop_by(Signal::TERM);
    let mut stranger = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("sleep can be run");
    let pid_file = world.data().join("nats.pid");
    kit::files::replace(&pid_file, &stranger.id().to_string()).expect("the folder can be written");
    world.start_again(&[]).await;
    assert!(
        stranger
            .try_wait()
            .expect("the process can be asked")
            .is_none(),
        "it was killed"
    );
    signal(stranger.id(), Signal::TERM);
    let _ = stranger.wait();
}

#[tokio::test]
async fn a_jaeger_that_was_left_behind_is_ended_by_the_next_start() {
    let mut world = World::start(&[]).await;
    world.stop_by(Signal::KILL);
    let folder = kit::testing::folder();
    let jaeger = script(&folder, "jaeger", "read -r line\n");
    let left = std::process::Command::new(&jaeger)
        .stdin(std::process::Stdio::piped())
        .spawn();
    let mut left = left.expect("a script can be run");
    let pid_file = world.data().join("jaeger.pid");
    kit::files::replace(&pid_file, &left.id().to_string()).expect("the folder can be written");
    let path = std::env::var("PATH").unwrap_or_default();
    world
        .start_again(&[("PATH", &format!("{}:{path}", folder.path().display()))])
        .await;
    let ended = left.try_wait().expect("the process can be asked");
    assert!(
        ended.is_some_and(|status| status.code().is_none()),
        "it was not ended: {ended:?}"
    );
}

/// Each time it writes more than one turn of a reader takes and dies: its last line is in the pipe
/// then.
#[tokio::test]
async fn the_last_words_of_a_child_that_dies_reach_its_log() {
    let folder = kit::testing::folder();
    let words = folder.path().join("words");
    let line = format!("{}\n", "x".repeat(1023));
    fs::write(&words, line.repeat(1024 + 32) + "last words\n").expect("the folder can be written");
    let nats = script(
        &folder,
        "nats-server",
        &format!(
            "case $1 in --version) exec '{nats}' --version;; esac\n\
             echo >>'{deaths}'\n\
             if [ $(wc -l <'{deaths}') -gt 4 ]; then exec '{nats}' \"$@\"; fi\n\
             cat '{words}' >&2\n",
            nats = NatsServer::program().display(),
            deaths = folder.path().join("deaths").display(),
            words = words.display(),
        ),
    );
    let world = World::start(&[("USHER_NATS_SERVER", &nats)]).await;
    let log =
        fs::read_to_string(world.data().join("logs/nats-server.log")).expect("there is a log");
    assert_eq!(log.matches("last words").count(), 4);
}

#[tokio::test]
async fn a_line_that_is_not_utf_8_does_not_end_a_log() {
    let folder = kit::testing::folder();
    let nats = script(
        &folder,
        "nats-server",
        &format!(
            "printf '\\377\\n' >&2\necho 'WARN after it' >&2\nexec '{}' \"$@\"\n",
            NatsServer::program().display()
        ),
    );
    let world = World::start(&[("USHER_NATS_SERVER", &nats)]).await;
    eventually("the line after it", SOON, async || {
        world.said().contains("WARN after it").then_some(())
    })
    .await;
    let log =
        fs::read_to_string(world.data().join("logs/nats-server.log")).expect("the log is text");
    assert!(log.contains("\u{fffd}\nWARN after it\n"), "{log}");
}

#[tokio::test]
async fn a_dead_broker_is_started_again_with_its_streams() {
    let world = World::start(&[]).await;
    world.kill("nats.conf").await;
    let account = world.sign_up("ada@example.com");
    let code = world.code_for("ada@example.com").await;
    world.json(&["account", "confirm", &account, &code]);
    assert_eq!(
        world.json(&["nats", "status"])["drift"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn secrets_are_made_on_the_first_start_for_their_owner_only() {
    let world = World::start(&[]).await;
    for name in ["admin-token", "run.json", "code-keys", "address-keys"] {
        let metadata =
            fs::metadata(world.data().join(name)).unwrap_or_else(|_| panic!("{name} was not made"));
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

/// An executable that plays a program.
fn script(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}")).expect("the folder can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .expect("a file can be made executable");
    path.to_str()
        .expect("temporary folders have plain names")
        .to_owned()
}

#[tokio::test]
async fn i20_doctor_tells_of_a_database_that_takes_no_writes_and_what_to_do() {
    let world = World::start(&[]).await;
    let url = format!("sqlite:{}", world.data().join("accounts.sqlite").display());
    let url = url.parse().expect("a file's URL is one");
    let behind = kit::db::Db::observe(&url)
        .await
        .expect("the database is there");
    let findings = async |expected: &str| {
        eventually(expected, std::time::Duration::from_secs(30), async || {
            let output = world.command(&["doctor"]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.contains(expected)
                .then_some((output.status.success(), said))
        })
        .await
    };
    let lock = behind.write("hold the lock").await.expect("it is there");
    lock.may_write().await.expect("it is free");
    let (is_well, said) = findings("is not ready: the database is locked").await;
    assert!(
        !is_well && said.contains("Find the program that holds it"),
        "{said}"
    );
    lock.rollback().await;
    findings("serves on").await;
}
