//! `usher up` as a parent: one at a time, children that live again, nothing left behind.

use std::{fs, os::unix::fs::PermissionsExt as _};

use kit::testing::eventually;
use rustix::process::Signal;

use crate::system::{SOON, System, processes, refusal, signal, usher};

#[tokio::test]
async fn a_second_up_on_the_same_folder_is_told_who_runs() {
    let system = System::start(&[]).await;
    let mut second = usher();
    second.args(["up", "--ports", "auto", "--output", "json", "--data"]).arg(system.data());
    let (code, error) = refusal(&second.output().expect("usher can be run"));
    assert_eq!(code, 4);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("process {}", system.pid())), "{message}");
}

#[tokio::test]
async fn i18_a_signal_ends_everything_within_ten_seconds() {
    for by in [Signal::TERM, Signal::INT] {
        let mut system = System::start(&[]).await;
        let children = system.children();
        assert_eq!(children.len(), 4, "{:?}", processes());
        let status = system.stop_by(by);
        assert!(status.success(), "{status}: {}", system.said());
        assert!(!system.said().contains("is killed"), "a child was cut: {}", system.said());
        let left: Vec<_> = processes().into_iter().filter(|(pid, _, _)| children.contains(pid)).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!system.data().join("run.json").exists());
    }
}

#[tokio::test]
async fn when_up_is_killed_its_services_drain_and_the_next_one_ends_the_broker_left_behind() {
    let mut system = System::start(&[]).await;
    system.sign_up("before@example.com");
    let nats = system.service("nats.conf").expect("nats-server runs");
    let services =
        ["accounts", "verification", "mailer"].map(|name| system.service(name).expect("the service runs"));
    system.stop_by(Signal::KILL);
    let alive = |pid: u32| processes().iter().any(|(running, _, _)| *running == pid);
    eventually("the services to end with their parent", SOON, async || {
        (!services.iter().any(|pid| alive(*pid))).then_some(())
    })
    .await;
    assert!(alive(nats), "the broker has no parent to watch");
    system.start_again(&[]).await;
    assert!(!alive(nats), "the next start ends it");
    let accounts = system.json(&["account", "list"]);
    assert_eq!(accounts[0]["email"], "before@example.com");
}

#[tokio::test]
async fn a_process_that_is_not_our_broker_is_left_alone() {
    let mut system = System::start(&[]).await;
    system.stop_by(Signal::TERM);
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().expect("sleep can be run");
    fs::write(system.data().join("nats.pid"), stranger.id().to_string()).expect("the folder can be written");
    system.start_again(&[]).await;
    assert!(stranger.try_wait().expect("the process can be asked").is_none(), "it was killed");
    signal(stranger.id(), Signal::TERM);
    let _ = stranger.wait();
}

#[tokio::test]
async fn a_dead_broker_is_started_again_with_its_streams() {
    let system = System::start(&[]).await;
    system.kill("nats.conf").await;
    let account = system.sign_up("ada@example.com");
    let code = system.code_for("ada@example.com").await;
    system.json(&["account", "confirm", &account, &code]);
    assert_eq!(system.json(&["nats", "status"])["drift"], serde_json::json!([]));
}

#[tokio::test]
async fn secrets_are_made_on_the_first_start_for_their_owner_only() {
    let system = System::start(&[]).await;
    for name in ["admin-token", "run.json", "code-keys", "address-keys"] {
        let metadata =
            fs::metadata(system.data().join(name)).unwrap_or_else(|_| panic!("{name} was not made"));
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
