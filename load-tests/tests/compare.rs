//! What dispatchers lose by a crash: the command, run as `make compare` runs it, for as short as can
//! show anything.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use kit::testing::{eventually, processes, signal};
use rustix::process::Signal;
use serde_json::Value;

const SHORT: &str = "compare --kills 3 --seconds 6 --output json --dispatchers";
/// What the start of a system may take.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn i07_i08_by_kill_nine_of_accounts_or_verification_jetstream_loses_and_doubles_nobody() {
    for row in rows("jetstream") {
        let counts = &row["counts"];
        for column in ["lost", "told so", "unmailed", "doubled"] {
            assert_eq!(counts[column], 0, "{row}");
        }
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
fn whoever_is_lost_with_jetstream_fails_the_command_and_stands_in_its_table() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let usher = folder.path().join("usher");
    // Its verification has an empty database whenever it starts.
    let forgets = format!(
        "#!/bin/sh\n\
         case $1 in verification) USHER_DATABASE_URL=$USHER_DATABASE_URL.$$ ;; esac\n\
         exec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_load-tests")
    );
    fs::write(&usher, forgets).expect("a temporary directory takes a file");
    fs::set_permissions(&usher, Permissions::from_mode(0o700)).expect("it is ours");
    let short = "compare --kills 2 --seconds 4 --patience 3s --dispatchers jetstream --usher";
    let output = command(short)
        .arg(&usher)
        // What it keeps of a run that failed goes with the test.
        .env("TMPDIR", folder.path())
        .output();
    let output = output.expect("the load tests can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAIL: not everything is conserved"), "{said}");
    assert!(said.contains("never reached verification"), "{said}");
    let table = table(&said);
    let [header, _, accounts, verification] = table.as_slice() else {
        panic!("a header, a line, and a row for each service that is killed: {said}");
    };
    let lost = header.iter().position(|column| *column == "lost");
    let lost = lost.expect("there is such a column");
    assert_eq!(accounts[lost], "0", "{said}");
    assert_ne!(verification[lost], "0", "{said}");
    let readme = include_str!("../../README.md");
    let (_, recorded) = readme.split_once("make compare ").expect("it is there");
    assert_eq!(
        self::table(recorded)[0],
        *header,
        "README's table is of another time"
    );
}

/// The first table in Markdown, by rows and cells.
fn table(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|'));
    let cells = lines.map(|line| line.trim_matches('|').split('|').map(str::trim));
    cells.map(Iterator::collect).collect()
}

#[tokio::test]
async fn ctrl_c_ends_all_that_compare_started_and_says_so() {
    let mut command = tokio::process::Command::from(command("compare"));
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let compare = command.kill_on_drop(true).spawn();
    let compare = compare.expect("the load tests can be run");
    let id = compare.id().expect("nobody waited for it");
    let system = eventually("three services and a broker", SOON, async || {
        let mut children = processes();
        children.retain(|process| process.parent == id);
        (children.len() >= 4).then_some(children)
    });
    let system = system.await;
    assert!(signal(id, Signal::INT));
    let output = compare.wait_with_output().await;
    let output = output.expect("it can be waited for");
    let warned = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{warned}");
    assert!(
        warned.contains("interrupted: everything that was started has ended"),
        "{warned}"
    );
    let mut left = processes();
    left.retain(|process| system.contains(process));
    assert_eq!(left, []);
}

#[test]
fn help_of_compare_says_what_each_column_counts() {
    let output = load_tests("compare --help");
    let help = String::from_utf8_lossy(&output.stdout);
    for part in ["Examples:", "Columns:", "unmailed  ", "--kills"] {
        assert!(help.contains(part), "{help}");
    }
}

fn load_tests(arguments: &str) -> Output {
    let output = command(arguments).output();
    output.expect("the load tests can be run")
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    command.args(arguments.split(' '));
    command
}
