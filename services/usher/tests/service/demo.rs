//! `usher demo`, the first thing anyone sees: its story, told by its output, and what it leaves
//! behind.

use std::process::Stdio;

use kit::testing::processes;
use rustix::process::Signal;

use crate::recorded::normalised;
use crate::{
    processes::{STOP, ends_within, signal},
    world::usher,
};

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_running() {
    let folder = kit::testing::folder();
    let mut runs = Vec::new();
    for _twice in 0..2 {
        let mut demo = usher();
        demo.arg("demo")
            .env("USHER_DATA", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = demo.output().expect("usher can be run");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for part in [
            "VERIFIED",
            "Subject",
            "process account_created",
            "kill -9",
            "mails for Grace: 1",
            "Try next",
        ] {
            assert!(
                said.contains(part),
                "the demo does not show {part}:\n{said}"
            );
        }
        assert!(
            said.lines().all(|line| line.chars().count() <= 80),
            "wider than 80 columns:\n{said}"
        );
        nothing_runs(folder.path());
        runs.push(normalised(&said));
    }
    assert_eq!(runs[0], runs[1], "the story differs from run to run");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_running() {
    let folder = kit::testing::folder();
    let mut demo = usher();
    demo.args(["demo", "--keep"])
        .env("USHER_DATA", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut demo = demo.spawn().expect("usher can be run");
    let mut said = std::io::BufReader::new(demo.stdout.take().expect("its output is piped"));
    let mut line = String::new();
    while !line.contains("signs up") {
        line.clear();
        let read =
            std::io::BufRead::read_line(&mut said, &mut line).expect("its output can be read");
        assert!(read > 0, "the demo ended before its second chapter");
    }
    let children: Vec<u32> = processes()
        .into_iter()
        .filter(|process| process.parent == demo.id())
        .map(|process| process.id)
        .collect();
    assert_eq!(children.len(), 4);
    signal(demo.id(), Signal::INT);
    let status = ends_within(demo, STOP);
    assert_eq!(status.code(), Some(130));
    let left: Vec<_> = processes()
        .into_iter()
        .filter(|process| children.contains(&process.id))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_answers_programs_in_json() {
    let folder = kit::testing::folder();
    let mut demo = usher();
    demo.args(["demo", "--output", "json"])
        .env("USHER_DATA", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let output = demo.output().expect("usher can be run");
    let told: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the output is JSON");
    assert_eq!(told["account"]["status"], "VERIFIED");
    assert_eq!(told["mails_after_kill"], 1);
}

/// The broker's command line names the folder; the services end before it does.
fn nothing_runs(folder: &std::path::Path) {
    let folder = folder.to_string_lossy();
    let left: Vec<_> = processes()
        .into_iter()
        .filter(|process| process.command.contains(&*folder))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
