//! What clients are told while they send.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kit::testing::{SOON, eventually};

use super::ground::{Client, Mailbox};

#[tokio::test]
async fn what_is_sent_is_read_back_octet_by_octet() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut client = mailbox.client();
    let long = "x".repeat(200_000);
    for (sent, kept) in [
        (
            "Subject: one\r\n\r\n..two\r\n...three\r\n",
            "Subject: one\r\n\r\n.two\r\n..three\r\n",
        ),
        // A message may begin with a dot, or be a header alone, or nothing.
        ("..\r\n", ".\r\n"),
        ("", ""),
        // Where others would see its end: between bare line ends there is none.
        (
            "a\n.\r\nMAIL FROM:<x@y>\n.\nb\r.\r\n",
            "a\n.\r\nMAIL FROM:<x@y>\n.\nb\r.\r\n",
        ),
        (&*long, &*format!("{long}\r\n")),
    ] {
        let answers = "MAIL FROM:<>\r\nRCPT TO:<zoë@example.com>\r\nDATA\r\n";
        client.write(answers.as_bytes());
        for code in ["250", "250", "354"] {
            let answer = client.answer();
            assert!(answer.starts_with(code), "{answer}");
        }
        client.write(sent.as_bytes());
        let end = if sent.is_empty() || sent.ends_with('\n') {
            ".\r\n"
        } else {
            "\r\n.\r\n"
        };
        client.write(end.as_bytes());
        let answer = client.answer();
        assert!(answer.starts_with("250 2.0.0 "), "{answer}");
        let mail = mailbox.only();
        assert_eq!(mail["from"], "");
        assert_eq!(mail["to"], serde_json::json!(["zoë@example.com"]));
        assert_eq!(mail["size"], kept.len());
        assert_eq!(String::from_utf8(mailbox.raw(&mail["id"])).unwrap(), kept);
        mailbox.ask("DELETE", "/api/v1/mails", &[]);
    }
    assert_eq!(client.answer_to("QUIT"), "221 2.0.0 bye\r\n");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_before_and_after_it_was_sent() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut client = Client::connect(mailbox.smtp);
    let extensions = client.answer_to("EHLO ada");
    for offered in ["PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8"] {
        assert!(extensions.contains(offered), "{extensions}");
    }
    assert!(!extensions.contains("AUTH"), "{extensions}");
    let announced = client.answer_to("MAIL FROM:<a@b> SIZE=10485761");
    assert!(announced.starts_with("552 5.3.4"), "{announced}");
    let line = format!("{}\r\n", "y".repeat(998));
    let sent = client.send(&["eve@example.com"], line.repeat(10_486).as_bytes());
    assert!(sent.starts_with("552 5.3.4"), "{sent}");
    // The conversation goes on.
    let sent = client.send(&["eve@example.com"], line.repeat(10_000).as_bytes());
    assert!(sent.starts_with("250"), "{sent}");
    assert_eq!(mailbox.only()["size"], 10_000_002);
}

#[tokio::test]
async fn commands_out_of_order_or_without_sense_are_refused_until_it_is_enough() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut client = Client::connect(mailbox.smtp);
    for (said, code) in [
        ("MAIL FROM:<a@b>", "503"),
        ("EHLO ada", "250"),
        ("RCPT TO:<a@b>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:<a@b> FLOWERS=red", "555"),
        ("MAIL FROM:a@b", "501"),
        ("MAIL FROM:<a@b>", "250"),
        ("MAIL FROM:<a@b>", "503"),
        ("RCPT TO:<nobody>", "501"),
        ("RSET", "250"),
        ("NOOP", "250"),
        ("VRFY ada", "252"),
        ("AUTH PLAIN", "503"),
        ("BDAT 1 LAST", "502"),
        ("GET / HTTP/1.1", "500"),
    ] {
        let answer = client.answer_to(said);
        assert!(answer.starts_with(code), "{said}: {answer}");
    }
    assert!(
        client.answer().starts_with("421 4.7.0"),
        "the tenth mistake"
    );
    assert_eq!(client.answer(), "", "the end");
    // A line without an end is none of its worries.
    let mut client = mailbox.client();
    client.write(&[b'x'; 100_000]);
    assert!(client.answer_to("").starts_with("500 5.5.6"));
    assert!(client.answer_to("NOOP").starts_with("250"));
}

#[tokio::test]
async fn without_room_for_a_connection_its_client_is_told_to_come_again() {
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let mut clients: Vec<Client> = (0..256).map(|_| Client::connect(mailbox.smtp)).collect();
    assert!(Client::greeted_by(mailbox.smtp).starts_with("421 4.3.2"));
    assert!(clients[0].answer_to("NOOP").starts_with("250"));
    drop(clients);
    eventually("room for a connection", SOON, async || {
        Client::greeted_by(mailbox.smtp)
            .starts_with("220")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_login_is_refused_and_a_changed_file_counts_at_once() {
    let folder = kit::testing::folder();
    let file = folder.path().join("login");
    kit::files::replace(&file, "usher:one:two\n").unwrap();
    let flags = ["--login-file", file.to_str().unwrap()];
    let mailbox = Mailbox::start(&folder.path().join("mails"), &flags).await;
    let plain = |user: &str, password: &str| {
        let response = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        format!("AUTH PLAIN {response}")
    };
    let answer = |said: &str| mailbox.client().answer_to(said);
    assert!(
        Client::connect(mailbox.smtp)
            .answer_to("EHLO ada")
            .contains("AUTH PLAIN LOGIN")
    );
    assert!(answer("MAIL FROM:<a@b>").starts_with("530 5.7.0"));
    for (user, password, code) in [
        ("usher", "one:two", "235"),
        ("usher", "one", "535"),
        ("usher:one", "two", "501"),
        ("", "", "501"),
        ("eve", "one:two", "535"),
    ] {
        let answer = answer(&plain(user, password));
        assert!(answer.starts_with(code), "{user} {password}: {answer}");
    }
    for nonsense in ["AUTH PLAIN ?", "AUTH PLAIN =", "AUTH CRAM-MD5"] {
        let answer = answer(nonsense);
        assert!(answer.starts_with("50"), "{nonsense}: {answer}");
    }

    let mut client = mailbox.client();
    assert_eq!(client.answer_to("AUTH LOGIN"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(client.answer_to("dXNoZXI="), "334 UGFzc3dvcmQ6\r\n");
    let wrong = client.answer_to(&BASE64_STANDARD.encode("two"));
    assert!(wrong.starts_with("535 5.7.8"), "{wrong}");
    assert_eq!(client.answer_to("AUTH PLAIN"), "334 \r\n");
    let right = client.answer_to(&BASE64_STANDARD.encode("\0usher\0one:two"));
    assert!(right.starts_with("235"), "{right}");
    assert!(
        client
            .send(&["eve@example.com"], b"hello")
            .starts_with("250")
    );

    kit::files::replace(&file, "usher:three\n").unwrap();
    assert!(answer(&plain("usher", "one:two")).starts_with("535"));
    assert!(answer(&plain("usher", "three")).starts_with("235"));

    // A login that nobody can have is a trouble of ours, said where it is looked for.
    fs::remove_file(&file).unwrap();
    assert!(answer(&plain("usher", "three")).starts_with("454"));
    let readiness = mailbox.get("/readyz");
    assert_eq!(readiness.status, 503);
    assert!(
        readiness.text().contains("Nobody can log in"),
        "{}",
        readiness.text()
    );
    assert!(
        mailbox.said().contains("Nobody can log in"),
        "{}",
        mailbox.said()
    );
    assert_eq!(mailbox.get("/livez").status, 200);
    kit::files::replace(&file, "usher:four").unwrap();
    assert!(answer(&plain("usher", "four")).starts_with("235"));
    assert_eq!(mailbox.get("/readyz").status, 200);
    assert!(!mailbox.said().contains("four"), "{}", mailbox.said());
}
