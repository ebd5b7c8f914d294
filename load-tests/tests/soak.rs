//! The command, run as `make soak` and `make load` run it: with a fixed seed and for as short as
//! can show anything.

use std::{
    io::{self, Write as _},
    process::{Command, Output},
};

use kit::testing::Postgres;
use serde_json::Value;

/// Whoever would wait for longer asks for the mail: that bounds the tests.
const SOAK: &str = "soak --rate 20 --every 1500ms --limit 45s";

/// With this seed every kind of fault is met, and every process, connection and disk.
#[test]
fn i07_whatever_breaks_on_sqlite_everybody_ends_with_a_code_and_its_mail() {
    passes("--database sqlite --seconds 120 --seed 1");
}

/// The same with two replicas of each service.
#[tokio::test]
async fn i07_whatever_breaks_on_postgres_everybody_ends_with_a_code_and_its_mail() {
    if Postgres::start().await.is_some() {
        passes("--database postgres --seconds 120 --seed 18");
    }
}

/// The same with what `usher up` has: it is killed, too.
#[test]
fn i07_whatever_breaks_under_usher_up_everybody_ends_with_a_code_and_its_mail() {
    passes("--database up --seconds 45 --seed 144");
}

fn passes(arguments: &str) {
    let output = load_tests(&format!("{SOAK} {arguments}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let warned = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{warned}");
    assert!(said.contains("PASS"), "{said}");
    for skipped in warned.lines().filter(|line| line.starts_with("skipped:")) {
        // Not `eprintln!`: the test harness swallows that of tests that pass.
        let _ = writeln!(io::stderr(), "{skipped}");
    }
}

#[test]
fn a_run_with_too_few_samples_is_no_pass_and_says_so() {
    let output = load_tests("load --rate 10 --seconds 1 --at-least 100");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("NO PASS: too few samples"), "{said}");
}

#[test]
fn i08_without_faults_only_a_lost_answer_makes_a_second_mail() {
    let load =
        "load --rate 20 --seconds 3 --moods reset-after-dot,delay --mood-share 0.4 --output json";
    let output = load_tests(load);
    let said: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert!(output.status.success(), "{said}");
    let lost = &said["moods"]["reset-after-dot"];
    assert!(lost.as_u64() > Some(0), "{said}");
    assert_eq!(&said["verdict"]["doubled"], lost, "{said}");
}

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    for (command, part) in [
        ("--help", "Exit codes:"),
        ("load --help", "Examples:"),
        ("soak --help", "Examples:"),
    ] {
        let output = load_tests(command);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && help.contains(part), "{help}");
    }
}

fn load_tests(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    let output = command.args(arguments.split(' ')).output();
    output.expect("the load tests can be run")
}
