//! What is said of a child that does not stay: by `usher up` as it ends again and again, by
//! `doctor`, and at a start whose settings are refused.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use kit::testing::{SOON, eventually};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    processes::signal,
    world::{World, refusal, usher},
};

#[test]
fn a_child_that_refuses_its_settings_ends_up_at_once_with_its_sentence() {
    let folder = kit::testing::folder();
    let refused = |setting, value| {
        let mut up = usher();
        up.args(["up", "--ports", "auto", "--output", "json", "--data"])
            .arg(folder.path().join("data"))
            .env(setting, value);
        let (code, error) = refusal(&up.output().expect("usher can be run"));
        assert_eq!(code, 2, "{error}");
        error["message"].as_str().unwrap_or_default().to_owned()
    };
    let message = refused("USHER_MAIL_CONNECTIONS", "many");
    let sentence = "USHER_MAIL_CONNECTIONS (from the environment) is `many`";
    assert!(message.contains(sentence), "{message}");
    // Seen only by the service itself, as it reads the file.
    let message = refused("USHER_MAIL_URL", "smtp://127.0.0.1:1?ca=/nowhere.pem");
    let sentence = "USHER_MAIL_URL: ca= names /nowhere.pem, which cannot be read";
    assert!(message.contains(sentence), "{message}");
    assert!(message.starts_with("mailer"), "it says whose: {message}");
    let log = folder.path().join("data/logs/mailer.log");
    let log = fs::read_to_string(log).expect("there is a log");
    assert_eq!(log.matches(sentence).count(), 1, "it is tried once: {log}");
}

#[tokio::test]
async fn up_and_doctor_say_how_often_a_child_ended_and_its_last_words() {
    let world = World::start(&[]).await;
    let keys = world.data().join("fingerprint-key");
    let readable_by = |mode| fs::set_permissions(&keys, fs::Permissions::from_mode(mode));
    readable_by(0o644).expect("the mode can be changed");
    world.kill("accounts").await;
    let words = "others may read";
    eventually("usher up to tell of it", SOON, async || {
        let said = world.said();
        let line = said.lines().find(|line| line.contains("3 times"))?;
        assert!(line.contains(words), "{line}");
        Some(())
    })
    .await;
    let output = world.command(&["doctor"]);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let ours = findings
        .iter()
        .find(|finding| finding["part"] == "accounts");
    let ours = ours.expect("accounts is looked at");
    let what = ours["what"].as_str().unwrap_or_default();
    assert!(what.contains(words) && what.contains(" times"), "{ours}");
    let advice = ours["advice"].as_str().unwrap_or_default();
    assert!(!advice.contains("Start it"), "{ours}");

    readable_by(0o600).expect("the mode can be changed");
    eventually("accounts to be back", SOON, async || {
        let output = world.command(&["doctor"]);
        output.status.success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_told_from_one_that_is_not_there() {
    let mut world = World::start(&[]).await;
    let nats = world.service("nats.conf").expect("nats-server runs");
    signal(nats, Signal::STOP);
    let broker = |world: &World| {
        let output = world.command(&["doctor"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let ours = findings
            .iter()
            .find(|finding| finding["part"] == "nats-server");
        let ours = ours.expect("the broker is looked at");
        ["what", "advice"].map(|field| ours[field].as_str().unwrap_or_default().to_owned())
    };
    let [what, advice] = broker(&world);
    assert!(what.contains("hangs"), "{what}");
    assert!(!advice.contains("starts one"), "{advice}");
    assert!(advice.contains("`usher up` starts it again"), "{advice}");
    signal(nats, Signal::CONT);
    world.stop_by(Signal::TERM);
    let [what, advice] = broker(&world);
    assert!(what.contains("nothing listens"), "{what}");
    assert!(advice.contains("--nats-url"), "{advice}");
}

#[test]
fn a_folder_without_usher_is_noticed_and_no_tick_is_given_to_a_no() {
    let folder = kit::testing::folder();
    let doctor = |data: &str, format: &str| {
        let mut doctor = usher();
        doctor
            .current_dir(folder.path())
            .args(["doctor", "--output", format]);
        if !data.is_empty() {
            doctor.args(["--data", data]);
        }
        doctor.output().expect("usher can be run")
    };
    fs::create_dir(folder.path().join("empty")).expect("the folder can be written");
    for (data, expected) in [
        ("mistyped", "there is no folder"),
        ("empty", "holds no system"),
    ] {
        let output = doctor(data, "json");
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let up = findings
            .iter()
            .find(|finding| finding["part"] == "usher up");
        let up = up.expect("it is looked for");
        assert_eq!(up["level"], "problem", "{up}");
        assert!(
            up["what"].as_str().unwrap_or_default().contains(expected),
            "{up}"
        );
        assert!(
            up["advice"].as_str().unwrap_or_default().contains("--data"),
            "{up}"
        );
    }
    let output = doctor("", "table");
    let end = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        end.contains("One thing"),
        "nothing runs, which is one fault: {end}"
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let up = said
        .lines()
        .find(|line| line.contains("usher up"))
        .unwrap_or_default();
    assert!(!up.contains('✓') && up.contains("does not run"), "{said}");
    let mut list = usher();
    list.current_dir(folder.path())
        .args(["account", "list", "--output", "json", "--data", "mistyped"]);
    let (_, error) = refusal(&list.output().expect("usher can be run"));
    assert!(
        error.to_string().contains("mistyped"),
        "other commands say it, too: {error}"
    );
}

#[tokio::test]
async fn the_demo_refuses_a_mailbox_that_no_mail_server_fills() {
    let folder = kit::testing::folder();
    for url in [None, Some("file:mails")] {
        let mut demo = usher();
        demo.current_dir(folder.path())
            .args(["demo", "--output", "json", "--mailbox", "maildir"])
            .envs(url.map(|url| ("USHER_MAIL_URL", url)));
        let demo = tokio::process::Command::from(demo).spawn();
        let mut demo = demo.expect("usher can be run");
        let ended = timeout(Duration::from_secs(5), demo.wait()).await;
        if ended.is_err() {
            signal(demo.id().expect("it runs"), Signal::INT);
            let _ = demo.wait().await;
        }
        let code = ended
            .ok()
            .and_then(|ended| ended.expect("it can be waited for").code());
        assert_eq!(code, Some(2), "{url:?}");
    }
}
