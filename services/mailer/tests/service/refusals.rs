//! What is permanent: what a reply says about this mailbox, and nothing that it says of everybody.

use kit::testing::{Phase, SmtpServer};
use proto::mailer::{Mail, Outcome, deliver_response::Message};

use crate::{
    client::{again, attempts, mail},
    world::{Service, World},
};

async fn degraded(service: &Service) -> String {
    service.probe("/readyz").await.1
}

#[tokio::test]
async fn a_relay_that_is_set_up_wrongly_loses_nobody_and_operators_hear_which_setting_to_look_at() {
    for (code, text, setting) in [
        (550, "relay not permitted", "USHER_MAIL_URL"),
        (
            553,
            "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
            "USHER_MAIL_URL",
        ),
        (
            550,
            "SC-001 (BAY004) Unfortunately, messages from 192.0.2.1 weren't sent: block list",
            "block list",
        ),
        (
            550,
            "5.1.0 <usher@usher.example>: Sender address rejected: User unknown",
            "USHER_MAIL_FROM",
        ),
    ] {
        let server = SmtpServer::start().await;
        server.on(Phase::Rcpt).times(1).answer(code, text);
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let offered = mail("ada@example.com");
        let refused = delivery.deliver(offered.clone()).await;
        assert_eq!(refused.outcome(), Outcome::Unavailable, "{text}");
        let told = degraded(&service).await;
        assert!(
            told.contains("\"mail policy\"") && told.contains(setting),
            "{told}"
        );
        assert_eq!(service.probe("/readyz").await.0, 200);
        let accepted = delivery.deliver(again(&offered)).await;
        assert_eq!(accepted.outcome(), Outcome::Accepted, "{text}");
        assert!(degraded(&service).await.contains("\"degraded\":{}"));
    }
}

#[tokio::test]
async fn exchange_online_and_outlook_say_in_their_words_that_there_is_no_such_mailbox() {
    for text in [
        "5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        "5.5.0 Requested action not taken: mailbox unavailable",
        "5.5.0 user unknown",
    ] {
        let server = SmtpServer::start().await;
        server.on(Phase::Rcpt).answer(550, text);
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let refused = delivery.deliver(mail("ada@example.com")).await;
        assert_eq!(refused.outcome(), Outcome::Rejected, "{text}");
    }
}

#[tokio::test]
async fn the_same_words_for_ten_mailboxes_in_a_row_refuse_none_of_them_and_stop_nobody() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .times(11)
        .answer(550, "no such user here");
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let mut other = service.client().open().await;
    let mails: Vec<Mail> = (0..11)
        .map(|number| mail(&format!("ada{number}@example.com")))
        .collect();
    for (number, offered) in mails.iter().enumerate() {
        let refused = delivery.deliver(offered.clone()).await;
        let expected = match number {
            0..9 => Outcome::Rejected,
            _ => Outcome::Unavailable,
        };
        assert_eq!(
            refused.outcome(),
            expected,
            "mailbox {number}: {}",
            refused.reason
        );
    }
    // Clients hear of it, on a stream that they open afterwards too.
    for stream in [&mut other, &mut service.client().open().await] {
        let Some(Message::TakenBack(taken_back)) = stream.next().await else {
            panic!("nothing was taken back")
        };
        for offered in &mails[..9] {
            assert!(taken_back.code_ids.contains(&offered.code_id));
        }
    }
    let told = degraded(&service).await;
    assert!(told.contains("\"mail policy\""), "{told}");
    assert!(
        !told.contains("\"mail server\""),
        "the circuit is closed: {told}"
    );
    let seen: Vec<_> = attempts(&service).await;
    assert!(seen.iter().all(|one| one.outcome() == Outcome::Unavailable));
    // The relay is mended: nobody was lost.
    for offered in &mails {
        let accepted = delivery.deliver(again(offered)).await;
        assert_eq!(accepted.outcome(), Outcome::Accepted, "{}", accepted.reason);
    }
    assert_eq!(server.mails().len(), 11);
    assert!(degraded(&service).await.contains("\"degraded\":{}"));
}

#[tokio::test]
async fn dead_mailboxes_among_good_ones_stay_refused_however_many_they_are() {
    let server = SmtpServer::start().await;
    for number in 0..20 {
        let dead = format!("dead{number}@example.com");
        server
            .on(Phase::Rcpt)
            .to(&dead)
            .answer(550, "no such user here");
    }
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    for number in 0..20 {
        let dead = mail(&format!("dead{number}@example.com"));
        let refused = delivery.deliver(dead.clone()).await;
        assert_eq!(refused.outcome(), Outcome::Rejected);
        if number % 5 == 0 {
            let accepted = delivery.deliver(mail("ada@example.com")).await;
            assert_eq!(accepted.outcome(), Outcome::Accepted);
        }
        let repeated = delivery.deliver(again(&dead)).await;
        assert_eq!(repeated.outcome(), Outcome::Rejected, "it is final");
    }
}
