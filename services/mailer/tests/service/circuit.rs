//! The circuit: a mail server that is away stops everybody for a while, and one mail tries whether
//! it is back.

use std::time::Duration;

use kit::testing::{Phase, SOON, SmtpServer, eventually};
use proto::mailer::{Outcome, deliver_response::Message};

use crate::{
    client::{again, attempts, mail, wait_as_told},
    world::World,
};

#[tokio::test]
async fn an_absent_mail_server_opens_the_circuit_and_a_returned_one_closes_it() {
    let server = SmtpServer::start().await;
    server.on(Phase::Connect).times(3).drop_connection();
    let world = World::before(&server);
    // All that is looked at while it lasts is looked at in time.
    let pause = [("USHER_MAIL_FIRST_PAUSE", "3s")];
    let service = world.start_with(&pause).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    delivery.offer(offered.clone()).await;
    let (mut paused, mut failed) = (false, false);
    while !(paused && failed) {
        match delivery.next().await.unwrap() {
            Message::Pause(pause) => paused = !pause.retry_after.unwrap().nanos.is_negative(),
            Message::Result(result) => failed = result.outcome() == Outcome::Unavailable,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        service.probe("/readyz").await.1.contains("\"mail server\""),
        "it shows as degraded"
    );
    let early = delivery.deliver(mail("eve@example.com")).await;
    assert_eq!(
        early.outcome(),
        Outcome::InFlight,
        "not tried, and no attempt is counted"
    );
    assert_eq!(attempts(&service).await.len(), 1);
    let mut other = service.client().open().await;
    assert!(
        matches!(other.next().await, Some(Message::Pause(_))),
        "a new stream hears of it at once"
    );
    let mut offered = again(&offered);
    let accepted = eventually("the circuit to close", SOON, async || {
        let result = delivery.insist(&offered).await;
        offered = again(&offered);
        (result.outcome() == Outcome::Accepted).then_some(result)
    });
    accepted.await;
    assert!(service.probe("/readyz").await.1.contains("\"degraded\":{}"));
}

#[tokio::test]
async fn everybody_waits_while_one_tries_whether_the_mail_server_is_back() {
    let server = SmtpServer::start().await;
    server.on(Phase::Connect).times(1).drop_connection();
    let world = World::before(&server);
    let settings = [
        ("USHER_MAIL_FIRST_PAUSE", "2s"),
        ("USHER_MAIL_GREETING_DEADLINE", "10s"),
    ];
    let service = world.start_with(&settings).await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Unavailable
    );
    let early = delivery.deliver(mail("eve@example.com")).await;
    wait_as_told(&early).await;
    server
        .on(Phase::Ehlo)
        .times(1)
        .after(Duration::from_millis(200))
        .proceed();
    for number in 0..20 {
        delivery
            .offer(mail(&format!("ada{number}@example.com")))
            .await;
    }
    server
        .until("the probe to connect", |server| server.connections() == 2)
        .await;
    // As its mail is taken, before the answer can set the others free.
    server
        .until("the probe's mail", |server| server.mails().len() == 1)
        .await;
    assert_eq!(server.connections(), 2, "the others waited for the probe");
    for _ in 0..20 {
        assert_eq!(delivery.result().await.outcome(), Outcome::Accepted);
    }
}

#[tokio::test]
async fn two_hung_phases_open_the_circuit_when_nothing_was_accepted() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).hang();
    let world = World::before(&server);
    let pause = [("USHER_MAIL_FIRST_PAUSE", "1m")];
    let service = world.start_with(&pause).await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Unavailable
    );
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Unavailable
    );
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::InFlight
    );
}

#[tokio::test]
async fn hung_mailboxes_do_not_open_the_circuit_while_others_are_served() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).to("hung@example.com").hang();
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    for _ in 0..3 {
        assert_eq!(
            delivery.deliver(mail("hung@example.com")).await.outcome(),
            Outcome::Unavailable
        );
    }
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
}

#[tokio::test]
async fn i17_a_mailbox_that_hangs_while_it_tries_the_mail_server_holds_nobody_up() {
    let server = SmtpServer::start().await;
    server.on(Phase::Connect).times(1).drop_connection();
    server.on(Phase::Rcpt).to("hung@example.com").hang();
    let settings = [
        ("USHER_MAIL_SLOW_AFTER", "100ms"),
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
        ("USHER_MAIL_FIRST_PAUSE", "2s"),
    ];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let (mut good, hung) = (service.client().open().await, service.client().open().await);
    assert_eq!(
        good.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Unavailable
    );
    wait_as_told(&good.deliver(mail("ada@example.com")).await).await;
    for _ in 0..3 {
        hung.offer(mail("hung@example.com")).await;
    }
    server
        .until("one to try", |server| server.connections() == 2)
        .await;
    for _ in 0..20 {
        good.offer(mail("ada@example.com")).await;
    }
    for _ in 0..20 {
        assert_eq!(good.result().await.outcome(), Outcome::Accepted);
    }
}
