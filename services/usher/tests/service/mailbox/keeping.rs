//! Mails that were accepted are there, in their order, whatever happens to the process and the
//! disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use kit::testing::{SmallDisk, is_root, skip};
use serde_json::Value;

use super::ground::{Client, Mailbox};

fn subjects(list: &Value) -> Vec<String> {
    let mails = list["mails"].as_array().expect("it is a list");
    let subjects = mails.iter().map(|mail| mail["subject"].as_str());
    subjects
        .map(|subject| subject.expect("it is a text").to_owned())
        .collect()
}

fn files(folder: &Path) -> Vec<fs::DirEntry> {
    let listed = fs::read_dir(folder.join("mails")).expect("the folder is there");
    listed
        .map(|entry| entry.expect("it can be listed"))
        .collect()
}

#[tokio::test]
async fn what_was_answered_by_250_is_there_after_a_kill_and_the_rest_is_not() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut unfinished = mailbox.client();
    for said in [
        "MAIL FROM:<eve@example.com>",
        "RCPT TO:<eve@example.com>",
        "DATA",
    ] {
        unfinished.answer_to(said);
    }
    unfinished.write(b"Subject: half\r\n\r\nnever whole");
    let message =
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <7@example.com>\r\n\r\nhello";
    let to = ["bob@example.com", "zoë@example.com"];
    let answer = mailbox.client().send(&to, message.as_bytes());
    mailbox.kill();
    assert!(answer.starts_with("250"), "{answer}");
    // As a process leaves it that dies while it writes.
    fs::write(folder.path().join("mails/new-7"), "Return-Path: <").unwrap();

    let again = Mailbox::start(folder.path(), &[]).await;
    let mail = again.only();
    assert_eq!(mail["from"], "ada@example.com");
    assert_eq!(mail["to"], serde_json::json!(to));
    assert_eq!(mail["subject"], "Grüße");
    assert_eq!(mail["message_id"], "7@example.com");
    assert!(answer.contains(mail["id"].as_str().unwrap()), "{answer}");
    assert_eq!(again.raw(&mail["id"]), format!("{message}\r\n").as_bytes());
    assert!(
        mail["received_at"].as_str().unwrap().ends_with('Z'),
        "{mail}"
    );
    let modes: Vec<u32> = files(folder.path())
        .iter()
        .map(|file| file.metadata().unwrap().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600], "one file, for its owner only");
    assert_eq!(
        fs::metadata(folder.path().join("mails")).unwrap().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn a_thousand_mails_are_listed_page_by_page_and_new_ones_come_last() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut client = mailbox.client();
    let send = |client: &mut Client, number: usize| {
        let to = format!("{}@example.com", number % 10);
        let message = format!("Subject: {number}\r\n\r\nHello, number {number}!");
        let answer = client.send(&[&to], message.as_bytes());
        assert!(answer.starts_with("250"), "{answer}");
    };
    for number in 0..1_000 {
        send(&mut client, number);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = mailbox.list(&format!("to=&text=&after={after}&limit=300"));
        seen.extend(subjects(&page));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
        // What comes while somebody reads is not missed.
        send(&mut client, 1_000 + seen.len());
    }
    let expected = (0..1_000)
        .chain([1_300, 1_600, 1_900])
        .map(|number| number.to_string());
    assert_eq!(seen, expected.collect::<Vec<_>>());

    assert_eq!(subjects(&mailbox.list("")).len(), 50);
    let to = mailbox.list("to=7@EXAMPLE.com&limit=1000");
    assert_eq!((subjects(&to).len(), &to["next"]), (100, &Value::Null));
    assert_eq!(subjects(&mailbox.list("to=@example.com&limit=1")), ["0"]);
    assert_eq!(subjects(&mailbox.list("to=example.com")), [""; 0]);
    assert_eq!(
        subjects(&mailbox.list("text=NUMBER+99&to=9@example.com")),
        ["99", "999"]
    );
    assert_eq!(
        subjects(&mailbox.list("text=number+500!")),
        ["500"],
        "it stands in the body"
    );
    for refused in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=x",
        "too=x",
        "to=a&to=b",
    ] {
        let answer = mailbox.get(&format!("/api/v1/mails?{refused}"));
        assert_eq!(answer.status, 400, "{refused}");
        assert!(answer.json()["error"].is_string(), "{refused}");
    }

    let delete = |path: &str| mailbox.ask("DELETE", path, &[]);
    // A slip must not delete everything.
    for refused in ["?too=x", "?to=", "?text=%20"] {
        assert_eq!(
            delete(&format!("/api/v1/mails{refused}")).status,
            400,
            "{refused}"
        );
    }
    assert_eq!(
        delete("/api/v1/mails?to=7@example.com").json()["deleted"],
        100
    );
    assert_eq!(subjects(&mailbox.list("to=7@example.com")), [""; 0]);
    let first = mailbox.list("limit=1")["mails"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let one = format!("/api/v1/mails/{first}");
    assert_eq!((delete(&one).status, delete(&one).status), (200, 404));
    assert_eq!(
        (
            mailbox.get(&one).status,
            mailbox.get("/api/v1/mails/x").status
        ),
        (404, 404)
    );
    assert_eq!(delete("/api/v1/mails").json()["deleted"], 902);
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn of_more_mails_than_are_kept_the_oldest_go_and_a_restart_keeps_the_order() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &["--keep", "3"]).await;
    for number in 0..5 {
        mailbox.send("eve@example.com", &format!("Subject: {number}\r\n\r\n"));
    }
    assert_eq!(subjects(&mailbox.list("")), ["2", "3", "4"]);
    assert_eq!(files(folder.path()).len(), 3);
    mailbox.kill();
    let fewer = Mailbox::start(folder.path(), &["--keep", "2"]).await;
    fewer.send("eve@example.com", "Subject: 5\r\n\r\n");
    assert_eq!(subjects(&fewer.list("")), ["4", "5"]);
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_full_disk_is_told_to_senders_and_mails_are_taken_again_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mailbox = Mailbox::start(disk.folder(), &[]).await;
    mailbox.send("eve@example.com", "Subject: before\r\n\r\n");
    disk.fill();
    let mut client = mailbox.client();
    for _ in 0..3 {
        let answer = client.send(&["eve@example.com"], b"Subject: no\r\n\r\n");
        assert!(answer.starts_with("452 4.3.1"), "{answer}");
    }
    assert_eq!(mailbox.get("/readyz").status, 200, "each sender is told");
    assert!(
        mailbox.said().contains("no space is left"),
        "{}",
        mailbox.said()
    );
    disk.free();
    let answer = client.send(&["eve@example.com"], b"Subject: after\r\n\r\n");
    assert!(answer.starts_with("250"), "{answer}");
    assert_eq!(subjects(&mailbox.list("")), ["before", "after"]);
    assert_eq!(files(disk.folder()).len(), 2, "nothing half is left");
}

#[tokio::test]
async fn a_stop_keeps_what_was_being_sent_and_ends_within_five_seconds() {
    let folder = kit::testing::folder();
    let mut mailbox = Mailbox::start(folder.path(), &[]).await;
    let (mut idle, mut sending, mut never) = (mailbox.client(), mailbox.client(), mailbox.client());
    for client in [&mut sending, &mut never] {
        for said in ["MAIL FROM:<>", "RCPT TO:<eve@example.com>", "DATA"] {
            client.answer_to(said);
        }
    }
    let asked = mailbox.begin_to_stop();
    assert!(
        idle.answer().starts_with("421 4.3.2"),
        "it hears of the stop"
    );
    sending.write(b"Subject: last\r\n\r\n.\r\n");
    assert!(sending.answer().starts_with("250"));
    let status = mailbox.ends(asked).await;
    assert!(status.success(), "{status}: {}", mailbox.said());
    let again = Mailbox::start(folder.path(), &[]).await;
    assert_eq!(again.only()["subject"], "last");
}

#[tokio::test]
async fn any_user_keeps_mails_on_a_volume_that_is_everybodys() {
    if !is_root() {
        return skip(false, ": only root can become another user");
    }
    // As Kubernetes makes one: root's, and open to all in the pod.
    let volume = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mailbox = Mailbox::start_as(65_532, volume.path()).await;
    mailbox.send("eve@example.com", "Subject: hello\r\n\r\n");
    let facts = fs::metadata(volume.path().join("mails")).unwrap();
    assert_eq!((facts.uid(), facts.mode() & 0o777), (65_532, 0o700));
    mailbox.kill();
    let again = Mailbox::start_as(65_532, volume.path()).await;
    assert_eq!(again.only()["subject"], "hello");
}

#[tokio::test]
async fn neither_an_address_nor_a_word_of_a_mail_is_in_the_log() {
    let folder = kit::testing::folder();
    let mut mailbox = Mailbox::start(folder.path(), &[]).await;
    mailbox.send(
        "canary-to@example.com",
        "Subject: canary-subject\r\n\r\ncanary-body",
    );
    let mail = mailbox.only();
    mailbox.get("/api/v1/mails?to=canary-to@example.com&text=canary-body");
    mailbox.get(&format!("/mails/{}", mail["id"].as_str().unwrap()));
    let mut client = mailbox.client();
    client.answer_to("RCPT TO:<canary-to@example.com>");
    client.answer_to("CANARY-WORDS");
    drop(client);
    // Whatever it has to say is written by then.
    let asked = mailbox.begin_to_stop();
    mailbox.ends(asked).await;
    let said = mailbox.said();
    assert!(said.contains("Listening."), "{said}");
    for canary in ["canary", "CANARY", "ada@example.com"] {
        assert!(!said.contains(canary), "{said}");
    }
}
