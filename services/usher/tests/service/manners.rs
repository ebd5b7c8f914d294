//! How the command behaves among other commands: help wherever it is asked for, output that is
//! written or fails, colours where they are wanted, ids for scripts.

use std::{
    fs::File,
    io,
    process::{Command, Output},
};

use kit::testing::{SOON, eventually, skip};
use rustix::process::Signal;

use crate::world::{USHER, World, usher};

/// Commands that answer by themselves, whatever else runs.
const ANSWERS: [&[&str]; 9] = [
    &["--help"],
    &["--version"],
    &["help", "account", "create"],
    &["version"],
    &["version", "--output", "json"],
    &["version", "--quiet"],
    &["completions", "zsh"],
    &["man", "account", "list"],
    &["up", "--help"],
];

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the command can be run");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("it speaks UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn output_that_cannot_be_written_fails_every_command_in_one_line() {
    for answers in ANSWERS {
        let full = File::options().write(true).open("/dev/full");
        let mut command = usher();
        command
            .args(answers)
            .stdout(full.expect("there is a full device"));
        let (code, _, told) = run(&mut command);
        assert_eq!(code, Some(1), "{answers:?}: {told}");
        assert!(told.contains("No space left on device"), "{told}");
        let lines = match answers.contains(&"json") {
            true => told.matches("\"message\"").count(),
            false => told.lines().count(),
        };
        assert_eq!(lines, 1, "{answers:?}: {told}");
    }
}

#[tokio::test]
async fn an_up_whose_output_cannot_be_written_serves_and_fails_at_its_end() {
    let mut world = World::unstarted();
    let full = File::options().write(true).open("/dev/full");
    let told =
        File::create(world.data().with_file_name("said")).expect("the folder can be written");
    let mut up = usher();
    up.args(["up", "--ports", "auto", "--data"])
        .arg(world.data())
        .stdout(full.expect("there is a full device"))
        .stderr(told);
    world.adopt(up.spawn().expect("usher can be run")).await;
    world.sign_up("ada@example.com");
    let status = world.stop_by(Signal::TERM);
    assert_eq!(status.code(), Some(1), "{}", world.said());
    assert!(
        world.said().contains("No space left on device"),
        "{}",
        world.said()
    );
}

#[test]
fn a_reader_that_has_had_enough_ends_every_command_quietly() {
    for answers in ANSWERS {
        let (reader, writer) = io::pipe().expect("there are pipes");
        drop(reader);
        let mut command = usher();
        let (code, _, told) = run(command.args(answers).stdout(writer));
        assert_eq!((code, &*told), (Some(0), ""), "{answers:?}");
    }
}

#[test]
fn a_group_alone_prints_its_help_with_examples_whatever_the_environment_sets() {
    for group in ["account", "mail", "mailbox", "dlq", "nats", "keys"] {
        for data in [None, Some("elsewhere")] {
            let mut command = usher();
            command
                .arg(group)
                .envs(data.map(|data| ("USHER_DATA", data)));
            let (code, said, told) = run(&mut command);
            assert_eq!((code, &*said), (Some(2), ""), "{told}");
            assert!(told.contains("Commands:"), "{told}");
            assert!(
                told.contains(&format!("Examples:\n  usher {group} ")),
                "{told}"
            );
        }
    }
}

#[test]
fn help_is_a_command_and_says_what_the_flag_says() {
    for (asked, flag) in [
        (&["help"][..], &["--help"][..]),
        (
            &["help", "account", "create"],
            &["account", "create", "--help"],
        ),
        (&["help", "mailer"], &["mailer", "--help"]),
    ] {
        let by_command = run(usher().args(asked));
        assert_eq!(by_command, run(usher().args(flag)), "{asked:?}");
        assert_eq!(by_command.0, Some(0));
    }
    let (code, _, told) = run(usher().args(["help", "acount"]));
    assert_eq!(code, Some(2));
    assert!(told.contains("'acount'"), "{told}");
}

#[test]
fn a_list_of_nothing_and_one_of_everything_are_refused() {
    for list in ["account", "mail", "mailbox", "dlq"] {
        for limit in ["0", "1000001", "-1", "many"] {
            let limit = format!("--limit={limit}");
            let (code, _, told) = run(usher().args([list, "list", &limit]));
            assert_eq!(code, Some(2), "{list} {limit}: {told}");
            assert!(told.contains("a number from 1 to 1000000"), "{told}");
        }
    }
}

#[test]
fn colours_are_as_the_flag_says_else_the_environment_else_the_terminal() {
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = usher();
        command.args(arguments).envs(variables.iter().copied());
        run(&mut command).1.contains('\u{1b}')
    };
    let (no, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
    for asked in [&["--help"][..], &["version"]] {
        let with = |flag: &'static str| [asked, &[flag]].concat();
        assert!(!coloured(asked, &[]), "a pipe gets none");
        assert!(coloured(asked, &[force]));
        assert!(!coloured(asked, &[no, force]));
        assert!(coloured(&with("--color=always"), &[no]));
        assert!(!coloured(&with("--color=never"), &[force]));
    }
    assert!(!coloured(&["completions", "bash"], &[force]));
}

#[test]
fn on_a_terminal_there_are_colours_unless_somebody_wants_none() {
    if Command::new("script").arg("--version").output().is_err() {
        return skip(false, ": there is no `script` (util-linux)");
    }
    let seen = |variables: &[(&str, &str)]| {
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &format!("{USHER} version"), "/dev/null"]);
        terminal.env("TERM", "xterm").env_remove("NO_COLOR");
        run(terminal.envs(variables.iter().copied())).1
    };
    assert!(seen(&[]).contains('\u{1b}'));
    assert!(!seen(&[("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[tokio::test]
async fn scripts_get_ids_and_nothing_else_and_find_accounts_by_address_and_status() {
    let world = World::start(&[]).await;
    let quiet = |arguments: &[&str]| {
        let output = world.plain(&[arguments, &["--quiet"]].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.is_empty(), "{told}");
        String::from_utf8(output.stdout).expect("it speaks UTF-8")
    };
    let ada = quiet(&["account", "create", "ada@example.com", "--name", "Ada"]);
    assert_eq!((ada.lines().count(), ada.trim().len()), (1, 36), "{ada}");
    let eve = quiet(&["account", "create", "eve@bücher.example"]);
    assert_eq!(quiet(&["account", "list"]), format!("{eve}{ada}"));

    // Addresses are read as a sign-up reads them.
    for (asked, id) in [
        (" ADA@example.com", &ada),
        ("eve@xn--bcher-kva.example", &eve),
    ] {
        assert_eq!(&quiet(&["account", "list", "--email", asked]), id);
        assert_eq!(&quiet(&["account", "show", asked]), id);
    }
    let (code, error) = world.refusal(&["account", "show", "bob@example.com"]);
    assert_eq!(
        (code, &error["message"]),
        (3, &"No account has this address.".into())
    );
    assert!(!error.to_string().contains("bob@"), "{error}");
    let (code, error) = world.refusal(&["account", "list", "--email", "nobody"]);
    assert_eq!((code, &error["fields"][0]["field"]), (4, &"email".into()));

    let digits = world.code_for("ada@example.com").await;
    let wrong = digits.replace(|digit: char| digit.is_ascii_digit(), "0");
    world.refusal(&["account", "confirm", "ada@example.com", &wrong]);
    assert_eq!(
        quiet(&["account", "confirm", "ada@example.com", &digits]),
        ""
    );
    let verified = || quiet(&["account", "list", "--status", "verified"]);
    eventually("the account to be verified", SOON, async || {
        (verified() == ada).then_some(())
    })
    .await;
    assert_eq!(quiet(&["account", "watch", "ada@example.com"]), "");
    assert_eq!(quiet(&["account", "list", "--status", "pending"]), eve);
    let shown = world.json(&["account", "show", "ada@example.com"]);
    let code = &shown["verification"]["codes"][0];
    assert_eq!(
        (&code["state"], &code["wrong_guesses"]),
        (&"USED".into(), &1.into())
    );
    let shown = world.plain(&["account", "show", "ada@example.com"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("WRONG GUESSES"));

    // A list that is cut says so beside itself.
    let told = |limit: &str| world.plain(&["account", "list", "--limit", limit]);
    assert!(String::from_utf8_lossy(&told("1").stderr).contains("There are more than these 1"));
    assert!(told("2").stderr.is_empty());

    let provisioned = world.json(&["nats", "provision"]);
    assert_eq!(provisioned["streams"][0]["change"], "unchanged");
    assert_eq!(quiet(&["nats", "provision"]), "");
}
