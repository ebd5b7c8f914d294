//! The commands that ask it, and the real mailer that sends into it.

use std::process::Output;

use kit::testing::{SOON, eventually};
use serde_json::Value;

use super::ground::Mailbox;
use crate::world::{World, refusal, usher};

fn said(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout.clone()).expect("it speaks UTF-8")
}

#[tokio::test]
async fn commands_list_find_show_and_delete_mails() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let run = |arguments: &[&str]| {
        said(
            &mailbox
                .command(arguments)
                .output()
                .expect("usher can be run"),
        )
    };
    assert!(run(&["list"]).contains("No mails yet."));
    mailbox.send("ada@example.com", "Subject: one\r\n\r\nThe first.");
    // What a terminal would take for commands, and the rest as people wrote it.
    let hostile = "Subject: two =?utf-8?q?=1B]0;x=07?=\r\n\r\nZoë\u{1b}[2J\r\n\tsays hello.";
    mailbox.send("eve@example.org", hostile);
    mailbox.send("ada@example.com", "Subject: three\r\n\r\nThe third.");
    let all = run(&["list", "--quiet"]);
    let ids: Vec<&str> = all.lines().collect();
    let subjects = |arguments: &[&str]| {
        let list = run(&[arguments, &["--output", "json"]].concat());
        let list: Value = serde_json::from_str(&list).expect("the output is JSON");
        let mails = list.as_array().expect("it is a list").clone();
        mails
            .iter()
            .map(|mail| mail["subject"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        subjects(&["list", "--to", "ada@example.com"]),
        ["three", "one"]
    );
    assert_eq!(
        run(&["list", "--to", "@example.org", "-q"]),
        format!("{}\n", ids[1])
    );
    assert_eq!(subjects(&["search", "THE THIRD"]), ["three"]);
    assert_eq!(
        subjects(&["search", "the", "--to", "eve@example.org"]),
        [""; 0]
    );
    let table = run(&["list"]);
    assert!(
        table.contains("SUBJECT") && table.contains("three"),
        "{table}"
    );
    // As on a terminal, which gets colours: of ours, and nothing of a stranger's.
    let coloured = ["--color", "always"];
    let table = run(&[&["list"], &coloured[..]].concat());
    assert!(table.contains("\u{1b}[1m"), "{table:?}");
    assert!(
        !table.contains("\u{1b}]0;") && !table.contains('\u{7}'),
        "{table:?}"
    );
    let shown = run(&[&["show", ids[1]], &coloured[..]].concat());
    assert!(
        !shown.contains("\u{1b}[2J") && !shown.contains('\u{7}'),
        "{shown:?}"
    );
    let mut few = mailbox.command(&["list", "--limit", "2"]);
    let few = few.output().expect("usher can be run");
    assert!(String::from_utf8_lossy(&few.stderr).contains("more than these 2"));
    assert!(!said(&few).contains(" one"), "{few:?}");

    let shown = run(&["show", ids[1]]);
    assert!(
        shown.contains("eve@example.org") && shown.contains("Zoë"),
        "{shown}"
    );
    assert!(shown.contains("\n\tsays hello."), "{shown:?}");
    assert_eq!(run(&["show", ids[2], "--quiet"]), "The first.\n");
    assert_eq!(
        run(&["show", ids[2], "--part", "headers", "--quiet"]),
        "Subject: one\n"
    );
    let whole: Value = serde_json::from_str(&run(&["show", ids[2], "--output", "json"])).unwrap();
    assert_eq!(
        (&whole["id"], &whole["html"]),
        (&ids[2].into(), &Value::Null)
    );

    assert_eq!(
        run(&["delete", ids[0], "--output", "json"]),
        "{\n  \"deleted\": 1\n}\n"
    );
    assert!(run(&["delete", "--to", "ada@example.com"]).contains("1 mail was deleted."));
    assert!(run(&["delete", "--text", "nowhere"]).contains("none to delete"));
    assert!(run(&["delete", "--all"]).contains("1 mail was deleted."));
    let gone = mailbox
        .command(&["show", ids[0], "--output", "json"])
        .output();
    let (code, error) = refusal(&gone.expect("usher can be run"));
    assert_eq!(code, 3, "{error}");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("usher mailbox list")
    );
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_or_not_meant_is_told_with_what_to_do() {
    let refused = |arguments: &[&str]| {
        let mut command = usher();
        command
            .arg("mailbox")
            .args(arguments)
            .args(["--output", "json"]);
        refusal(&command.output().expect("usher can be run"))
    };
    let (code, error) = refused(&["list", "--mailbox-url", "http://127.0.0.1:1"]);
    assert_eq!(code, 5);
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("http://127.0.0.1:1: the connection is refused"),
        "{message}"
    );
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("usher mailbox serve"),
        "{error}"
    );
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let smtp = format!("http://{}", mailbox.smtp);
    let (code, error) = refused(&["list", "--mailbox-url", &smtp]);
    assert_eq!(code, 5);
    assert!(
        error["message"].as_str().unwrap().contains("no HTTP"),
        "{error}"
    );
    assert!(error["hint"].as_str().unwrap().contains("8025"), "{error}");
    for wrong in [
        &["delete"][..],
        &["delete", "--to", ""],
        &["delete", "--all", "--to", "ada@example.com"],
        &["show", "7"],
        &["list", "--mailbox-url", "https://mailbox"],
        &["list", "--limit", "0"],
        &["search", ""],
    ] {
        let output = usher()
            .arg("mailbox")
            .args(wrong)
            .output()
            .expect("usher can be run");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    // A folder or a port that cannot be had is no reason to wait.
    let taken = mailbox.http.to_string();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (flags, why) in [
        (
            [
                "--folder",
                folder.path().to_str().unwrap(),
                "--http",
                &taken,
            ],
            "another program listens there",
        ),
        (
            ["--folder", file.to_str().unwrap(), "--http", "127.0.0.1:0"],
            "file",
        ),
    ] {
        let serve = usher()
            .args(["mailbox", "serve", "--smtp", "127.0.0.1:0"])
            .args(flags)
            .output();
        let serve = serve.expect("usher can be run");
        let told = String::from_utf8_lossy(&serve.stderr).into_owned();
        assert!(!serve.status.success() && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_sign_up_with_its_mails_sent_to_the_mailbox_is_read_there() {
    let folder = kit::testing::folder();
    let login = folder.path().join("login");
    kit::files::replace(&login, "usher:p@ss\n").unwrap();
    let flags = ["--login-file", login.to_str().unwrap()];
    let mailbox = Mailbox::start(&folder.path().join("mails"), &flags).await;
    let url = format!("smtp://usher:p%40ss@{}?tls=off", mailbox.smtp);
    let world = World::start(&[("USHER_MAIL_URL", &url)]).await;
    world.sign_up("ada@example.com");
    let find = || {
        let mut list = mailbox.command(&["list", "--to", "ada@example.com", "--quiet"]);
        said(&list.output().expect("usher can be run"))
    };
    let id = eventually("the mail", SOON, async || {
        Some(find()).filter(|id| !id.is_empty())
    })
    .await;
    let path = format!("/api/v1/mails/{}", id.trim());
    let mail = mailbox.get(&path).json();
    assert!(mail["html"].as_str().unwrap().contains("<html"), "{mail}");
    let text = mail["text"].as_str().expect("it has a text");
    let is_code = |line: &&str| {
        let digits = line.chars().filter(char::is_ascii_digit).count();
        digits == 8 && line.chars().all(|c| c.is_ascii_digit() || c == ' ')
    };
    let code = text
        .lines()
        .map(str::trim)
        .find(is_code)
        .expect("it has a code");
    world.json(&["account", "confirm", "ada@example.com", code]);
}
