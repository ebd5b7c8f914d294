//! What dispatchers lose by a crash: the command, run as `make compare` runs it, for as short as can
//! show anything.

use std::{
    io::{self, Write as _},
    process::{Command, Output},
    thread,
};

use serde_json::Value;

const SHORT: &str = "compare --kills 3 --seconds 6 --output json --dispatchers";

#[test]
fn i07_i08_by_kill_nine_of_accounts_or_verification_jetstream_loses_and_doubles_nobody() {
    for row in rows("jetstream") {
        let counts = &row["counts"];
        for column in ["lost", "told so", "unanswered, unmailed"] {
            assert_eq!(counts[column], 0, "{row}");
        }
        assert_eq!(counts["doubled"], counts["unknowable"], "{row}");
    }
}

/// Whoever was committed and not yet handed on is what they may lose, and is counted; everybody else is
/// mailed once.
#[test]
fn i01_i08_by_kill_nine_dispatchers_in_memory_lose_nobody_whom_verification_knows() {
    let both = thread::scope(|scope| {
        let each = ["inline", "background"].map(|one| scope.spawn(move || rows(one)));
        each.map(|one| one.join().expect("it says what is wrong"))
    });
    for row in both.as_flattened() {
        let verdict = &row["run"]["verdict"];
        assert_eq!(verdict["lost"].as_array().map(Vec::len), Some(0), "{row}");
        let forgotten = verdict["forgotten"].as_object().expect("it is counted");
        let forgotten: u64 = forgotten.values().filter_map(Value::as_u64).sum();
        let mailed = verdict["mailed"].as_u64().unwrap_or_default();
        assert_eq!(verdict["stored"], mailed + forgotten, "{row}");
    }
}

/// One for each service that was killed.
fn rows(dispatcher: &str) -> [Value; 2] {
    let output = load_tests(&format!("{SHORT} {dispatcher}"));
    let warned = String::from_utf8_lossy(&output.stderr);
    let said: Value = serde_json::from_slice(&output.stdout).expect("the comparison is JSON");
    assert!(output.status.success(), "{said}\n{warned}");
    let [accounts, verification] = [0_usize, 1].map(|nth| said["rows"][nth].clone());
    for row in [&accounts, &verification] {
        // Not `println!`: the test harness swallows that of tests that pass.
        let _ = writeln!(
            io::stderr(),
            "{dispatcher}, {} killed {} times: {}",
            row["killed"],
            row["kills"],
            row["counts"]
        );
    }
    assert_eq!(accounts["killed"], "accounts");
    assert_eq!(verification["killed"], "verification");
    [accounts, verification]
}

#[test]
fn help_of_compare_says_what_each_column_counts() {
    let output = load_tests("compare --help");
    let help = String::from_utf8_lossy(&output.stdout);
    for part in ["Examples:", "Columns:", "unanswered, unmailed", "--kills"] {
        assert!(help.contains(part), "{help}");
    }
}

fn load_tests(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    let output = command.args(arguments.split(' ')).output();
    output.expect("the load tests can be run")
}
