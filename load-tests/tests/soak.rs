//! The soak with a fixed seed, as short as can show anything: `make soak` runs the same for as long as one likes.

use std::{path::PathBuf, process::Command};

/// Every kind of fault on every part, and every mood of the mail server, at 30 sign-ups a second.
#[test]
fn i01_to_i08_a_minute_of_faults_loses_nobody() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_load-tests"));
    let output = Command::new(&program)
        .args(["soak", "--seed", "12", "--seconds", "60", "--rate", "30"])
        .arg("--usher")
        .arg(&program)
        .output();
    let output = output.expect("the load tests can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let warned = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{warned}");
    assert!(said.contains("PASS"), "{said}");
}

/// A system that takes nobody is no proof of anything.
#[test]
fn a_run_with_too_few_samples_is_no_pass_and_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_load-tests"))
        .args([
            "load",
            "--rate",
            "10",
            "--seconds",
            "1",
            "--at-least",
            "100",
        ])
        .output();
    let output = output.expect("the load tests can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("NO PASS: too few samples"), "{said}");
}

#[test]
fn help_teaches_each_command_with_examples_and_exit_codes() {
    for command in [&["--help"][..], &["load", "--help"], &["soak", "--help"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_load-tests"))
            .args(command)
            .output();
        let output = output.expect("the load tests can be run");
        let help = String::from_utf8_lossy(&output.stdout);
        let teaches = ["Examples:", "Exit codes:"]
            .iter()
            .any(|part| help.contains(part));
        assert!(output.status.success() && teaches, "{help}");
    }
}
