//! Answers as servers really give them: short, long, in other alphabets, one too many, ahead of
//! time, without end.

use kit::testing::{Phase, Pipelining, Setup, SmtpServer, Tls};
use proto::mailer::{Outcome, Result as MailResult};

use crate::{
    client::{again, attempts, mail},
    world::World,
};

async fn outcome_of(server: &SmtpServer) -> MailResult {
    let world = World::before(server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    delivery.deliver(mail("ada@example.com")).await
}

#[tokio::test]
async fn an_answer_counts_without_text_in_any_octets_and_with_any_line_end() {
    let long_line = format!("250 {}\r\n", "x".repeat(2_000));
    let long_lines = format!("250-{0}\r\n250 {0}\r\n", "x".repeat(2_000));
    let accepting: [&[u8]; 9] = [
        b"250\r\n",
        b"250 \r\n",
        b"250\n",
        b"250 ok\n",
        b"250-ok\n250 ok\n",
        b"250 accept\xe9e\r\n",
        b"250 \0\x01\xff\xfe\r\n",
        long_line.as_bytes(),
        long_lines.as_bytes(),
    ];
    for answer in accepting {
        let server = SmtpServer::start().await;
        server.on(Phase::FinalDot).accept_and_say(answer);
        let result = outcome_of(&server).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(20)]);
        assert_eq!(
            result.outcome(),
            Outcome::Accepted,
            "{shown:?}: {}",
            result.reason
        );
        assert_eq!(server.mails().len(), 1, "{shown:?}");
    }
    let long_refusal = format!("550 5.1.1 {}\r\n", "x".repeat(2_000));
    let refusing: [&[u8]; 3] = [
        b"550 5.1.1 bo\xeete inconnue\r\n",
        b"550 5.1.1 no such user\n",
        long_refusal.as_bytes(),
    ];
    for answer in refusing {
        let server = SmtpServer::start().await;
        server.on(Phase::Rcpt).say(answer);
        let result = outcome_of(&server).await;
        assert_eq!(result.outcome(), Outcome::Rejected, "{}", result.reason);
    }
}

#[tokio::test]
async fn what_came_behind_the_answer_to_starttls_answers_nothing() {
    let conversation = "220 go ahead\r\n250-mx\r\n250 PIPELINING\r\n250-mx\r\n250 PIPELINING\r\n\
                        250 sender ok\r\n250 recipient ok\r\n354 go ahead\r\n250 2.0.0 accepted\r\n";
    for tls in ["required", "opportunistic"] {
        let server = SmtpServer::with(Setup {
            tls: Tls::StartTls,
            ..Setup::default()
        })
        .await;
        server.on(Phase::StartTls).say(conversation);
        server.on(Phase::Ehlo).times(1).proceed();
        server.on(Phase::Ehlo).hang();
        let directory = tempfile::tempdir().unwrap();
        let authority = directory.path().join("ca.pem");
        std::fs::write(&authority, server.ca_pem()).unwrap();
        let url = format!("{}?tls={tls}&ca={}", server.url(), authority.display());
        let world = World::sending_to(&url);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let result = delivery.deliver(mail("ada@example.com")).await;
        assert_eq!(result.outcome(), Outcome::Unavailable, "{}", result.reason);
        assert!(
            result.reason.starts_with("STARTTLS: ") && result.reason.contains("ahead of time"),
            "{}",
            result.reason
        );
    }
}

#[tokio::test]
async fn an_answer_too_many_is_never_the_next_mails() {
    for pipelining in [Pipelining::Offered, Pipelining::Missing] {
        let server = SmtpServer::with(Setup {
            pipelining,
            ..Setup::default()
        })
        .await;
        server
            .on(Phase::Rcpt)
            .to("dead@example.com")
            .answer(550, "5.1.1 no such user");
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        for extra in [
            "250 2.0.0 ok\r\n550 5.1.1 no such user\r\n",
            "250 2.0.0 ok\r\n250 2.0.0 ok\r\n550 5.1.1 no such user\r\n",
            "250 2.0.0 ok\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n354 go\r\n250 2.0.0 ok\r\n",
            "250 2.0.0 ok\r\n421 4.4.2 idle for too long\r\n",
            "250 2.0.0 ok\r\nand",
        ] {
            server.on(Phase::FinalDot).times(1).accept_and_say(extra);
            let before = server.mails().len();
            for (email, expected) in [
                ("ada@example.com", Outcome::Accepted),
                ("eve@example.com", Outcome::Accepted),
            ] {
                let result = delivery.deliver(mail(email)).await;
                assert_eq!(
                    result.outcome(),
                    expected,
                    "{pipelining:?} {extra:?} {email}: {}",
                    result.reason
                );
            }
            server.on(Phase::FinalDot).times(1).accept_and_say(extra);
            let result = delivery.deliver(mail("ada@example.com")).await;
            assert_eq!(result.outcome(), Outcome::Accepted, "{extra:?}");
            let result = delivery.deliver(mail("dead@example.com")).await;
            assert_eq!(
                result.outcome(),
                Outcome::Rejected,
                "{pipelining:?} {extra:?}: {}",
                result.reason
            );
            assert_eq!(server.mails().len(), before + 3, "{pipelining:?} {extra:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_too_many_within_a_mail_ends_its_connection_and_decides_nothing() {
    for pipelining in [Pipelining::Offered, Pipelining::Missing] {
        for (phase, answer) in [
            (Phase::Ehlo, "250 PIPELINING\r\n250 ok\r\n"),
            (Phase::Mail, "250 ok\r\n250 ok\r\n"),
            (Phase::Mail, "250 ok\r\n550 5.1.1 no such user\r\n"),
            (Phase::Rcpt, "250 ok\r\n550 5.1.1 no such user\r\n"),
            (Phase::Rcpt, "250 ok\r\n354 go ahead\r\n"),
            (Phase::Data, "354 go ahead\r\n250 2.0.0 accepted\r\n"),
            (Phase::Data, "354 go ahead\r\n550 5.1.1 no such user\r\n"),
        ] {
            let server = SmtpServer::with(Setup {
                pipelining,
                ..Setup::default()
            })
            .await;
            server.on(phase).times(1).say(answer);
            let world = World::before(&server);
            let service = world.start().await;
            let mut delivery = service.client().open().await;
            let offered = mail("ada@example.com");
            let result = delivery.deliver(offered.clone()).await;
            // A 354 before its time shows at the next answer, and that may be the one to the final
            // dot: the server has the mail then, or is about to, or loses it with its connection.
            let (expected, most) = match result.outcome() {
                Outcome::Unknown if answer.contains("354 go ahead") && phase == Phase::Rcpt => {
                    (Outcome::Unknown, 1)
                }
                _ => (Outcome::Unavailable, 0),
            };
            assert_eq!(
                result.outcome(),
                expected,
                "{pipelining:?} {phase:?} {answer:?}: {}",
                result.reason
            );
            assert!(
                server.mails().len() <= most,
                "{pipelining:?} {phase:?} {answer:?}"
            );
            let repeated = delivery.insist(&again(&offered)).await;
            assert_eq!(repeated.outcome(), Outcome::Accepted, "{answer:?}");
            assert_eq!(server.connections(), 2, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn i17_an_answer_of_very_many_lines_holds_nobody_up() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Ehlo)
        .times(1)
        .say("250-\r\n".repeat(14_000));
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    let result = delivery.deliver(offered.clone()).await;
    assert_eq!(result.outcome(), Outcome::Unavailable);
    assert!(
        result.reason.contains("the answer is too long"),
        "{}",
        result.reason
    );
    assert_eq!(service.probe("/livez").await.0, 200);
    let repeated = delivery.insist(&again(&offered)).await;
    assert_eq!(repeated.outcome(), Outcome::Accepted);
}

#[tokio::test]
async fn a_server_is_greeted_once_and_after_starttls_once_more() {
    let server = SmtpServer::start().await;
    server.on(Phase::Ehlo).times(1).proceed();
    server
        .on(Phase::Ehlo)
        .answer(503, "5.5.1 you have said so already");
    let result = outcome_of(&server).await;
    assert_eq!(result.outcome(), Outcome::Accepted, "{}", result.reason);
}

#[tokio::test]
async fn a_connection_whose_mails_are_refused_is_given_up_and_the_mail_goes_over_a_new_one() {
    for answer in [
        (452, "4.5.3 too many mails on this connection"),
        (451, "4.4.2 idle for too long"),
        (421, "4.4.2 idle for too long"),
        (550, "5.7.1 too many mails on this connection"),
    ] {
        let server = SmtpServer::start().await;
        server.on(Phase::Mail).times(3).proceed();
        server.on(Phase::Mail).times(1).answer(answer.0, answer.1);
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        for _ in 0..6 {
            let result = delivery.deliver(mail("ada@example.com")).await;
            assert_eq!(result.outcome(), Outcome::Accepted, "{}", result.reason);
        }
        assert_eq!(
            (server.connections(), attempts(&service).await.len()),
            (2, 6),
            "{answer:?}: no attempt was counted for a connection that had idled"
        );
    }
}

#[tokio::test]
async fn a_refusal_of_a_fresh_connections_sender_is_an_attempt_and_ends_the_connection() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Mail)
        .times(2)
        .answer(452, "4.3.1 no space left");
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    for expected in [
        Outcome::Unavailable,
        Outcome::Unavailable,
        Outcome::Accepted,
    ] {
        let result = delivery.deliver(mail("ada@example.com")).await;
        assert_eq!(result.outcome(), expected, "{}", result.reason);
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn the_mail_server_is_greeted_by_the_name_that_is_set_else_by_one_that_is_whole() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let named = world
        .start_with(&[("USHER_MAIL_HELO", "usher.example")])
        .await;
    let mut delivery = named.client().open().await;
    delivery.deliver(mail("ada@example.com")).await;
    assert_eq!(server.mails()[0].hello, "usher.example");
    drop((delivery, named));

    let world = World::before(&server);
    let unnamed = world.start().await;
    let mut delivery = unnamed.client().open().await;
    delivery.deliver(mail("ada@example.com")).await;
    let hello = server.mails()[1].hello.clone();
    let is_whole = hello.contains('.') || hello.starts_with("[IPv6:");
    assert!(is_whole, "{hello} is no full name and no address literal");
}

#[tokio::test]
async fn a_mail_server_that_dislikes_our_name_says_which_setting_helps() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Ehlo)
        .answer(504, "5.5.2 need a fully qualified name");
    let result = outcome_of(&server).await;
    assert_eq!(result.outcome(), Outcome::Unavailable);
    assert!(
        result.reason.contains("504") && result.reason.contains("USHER_MAIL_HELO"),
        "{}",
        result.reason
    );
}
