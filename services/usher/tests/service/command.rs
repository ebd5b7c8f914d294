//! The command line itself: help that teaches, errors a person and a program can read, exit codes.

use crate::world::{refusal, usher};

/// Every command that does something.
const COMMANDS: [&[&str]; 39] = [
    &["demo"],
    &["up"],
    &["logs"],
    &["completions"],
    &["man"],
    &["version"],
    &["account", "create"],
    &["account", "import"],
    &["account", "show"],
    &["account", "list"],
    &["account", "confirm"],
    &["account", "resend"],
    &["account", "watch"],
    &["mail", "list"],
    &["mail", "show"],
    &["mail", "preview"],
    &["mailbox", "serve"],
    &["mailbox", "list"],
    &["mailbox", "show"],
    &["mailbox", "search"],
    &["mailbox", "delete"],
    &["dlq", "list"],
    &["dlq", "show"],
    &["dlq", "replay"],
    &["dlq", "drop"],
    &["doctor"],
    &["nats", "provision"],
    &["nats", "status"],
    &["migrate"],
    &["keys", "generate"],
    &["keys", "activate"],
    &["keys", "retire"],
    &["keys", "list"],
    &["cluster", "secrets"],
    &["cluster", "smoke"],
    &["trace", "show"],
    &["config"],
    &["accounts"],
    &["mailer"],
];

#[test]
fn help_tells_the_commands_exit_codes_and_environment() {
    let output = usher().arg("--help").output().expect("usher can be run");
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in COMMANDS {
        let output = usher()
            .args(command)
            .arg("--help")
            .output()
            .expect("usher can be run");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let is_service = matches!(command, ["accounts" | "mailer"]);
        assert!(
            is_service || help.contains("Example"),
            "{command:?} shows no example:\n{help}"
        );
        assert!(
            !is_service || help.contains("USHER_DATABASE_URL"),
            "{command:?} hides its settings:\n{help}"
        );
        for global in ["--data <", "--output <"] {
            assert_eq!(
                help.contains(global),
                !is_service,
                "{command:?}, {global}:\n{help}"
            );
        }
    }
}

#[test]
fn a_command_line_that_is_not_understood_exits_with_2() {
    for wrong in [
        &["acount"][..],
        &["account", "create"],
        &["up", "--ports", "none"],
    ] {
        let output = usher().args(wrong).output().expect("usher can be run");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_database_of_no_service_is_not_passed_over() {
    for command in [&["migrate"][..], &["migrate", "status"]] {
        let folder = kit::testing::folder();
        let mut migrate = usher();
        migrate
            .args(command)
            .args(["--output", "json", "--data"])
            .arg(folder.path());
        migrate.env(
            "USHER_DATABASE_URL",
            "postgres://usher@127.0.0.1:1/accounts",
        );
        let (code, error) = refusal(&migrate.output().expect("usher can be run"));
        assert_eq!(code, 2);
        assert_eq!(
            error["message"],
            "A database is named, but not whose it is: add --service."
        );
    }
}

#[test]
fn i16_a_refused_setting_names_its_variable_and_shows_no_password() {
    let output = usher()
        .args(["accounts"])
        .env("USHER_DATABASE_URL", "mysql://usher:hunter2@db/usher")
        .output()
        .expect("usher can be run");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("USHER_DATABASE_URL (from the environment)"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_service_that_does_not_answer_is_named_with_what_to_do() {
    let folder = kit::testing::folder();
    let nobody = "http://127.0.0.1:1";
    let mut command = usher();
    command.args([
        "account",
        "create",
        "ada@example.com",
        "--accounts-url",
        nobody,
        "--output",
        "json",
        "--data",
    ]);
    let (code, error) = refusal(
        &command
            .arg(folder.path())
            .output()
            .expect("usher can be run"),
    );
    assert_eq!(code, 5);
    assert_eq!(
        error["message"],
        format!("accounts does not answer at {nobody}.")
    );
    assert!(
        error["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("usher up")),
        "{error}"
    );
}

#[test]
fn operators_commands_without_a_token_are_refused_before_anything_is_sent() {
    let folder = kit::testing::folder();
    let mut command = usher();
    command
        .args(["account", "list", "--output", "json", "--data"])
        .arg(folder.path());
    let (code, error) = refusal(&command.output().expect("usher can be run"));
    assert_eq!(code, 4);
    assert!(
        error["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("--admin-token-file")),
        "{error}"
    );
}

#[test]
fn doctor_finds_what_is_missing_and_says_what_to_do() {
    let folder = kit::testing::folder();
    let mut command = usher();
    command
        .args(["doctor", "--output", "json", "--data"])
        .arg(folder.path());
    for part in ["accounts", "verification", "mailer"] {
        command.arg(format!("--{part}-url=http://127.0.0.1:1"));
    }
    let output = command
        .arg("--nats-url=nats://127.0.0.1:1")
        .output()
        .expect("usher can be run");
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).expect("the output is JSON");
    for part in [
        "accounts",
        "verification",
        "mailer",
        "admin token",
        "nats-server",
    ] {
        let finding = findings
            .iter()
            .find(|finding| finding["part"] == part && finding["level"] == "problem");
        let advice = finding
            .and_then(|finding| finding["advice"].as_str())
            .unwrap_or_default();
        assert!(
            !advice.is_empty(),
            "nothing is said of {part}: {findings:?}"
        );
    }
}

#[test]
fn colours_and_progress_stay_away_where_no_terminal_reads() {
    let output = usher()
        .args(["doctor", "--nats-url=nats://127.0.0.1:1"])
        .output()
        .expect("usher can be run");
    let all = [output.stdout, output.stderr].concat();
    assert!(!all.contains(&0x1b), "{}", String::from_utf8_lossy(&all));
}
