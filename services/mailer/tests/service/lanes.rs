//! The lanes: mailboxes that hang crowd each other out and hold up nobody else.

use std::time::{Duration, Instant};

use kit::testing::{Phase, SmtpServer};
use proto::mailer::Outcome;

use crate::{
    client::{again, mail, wait_as_told},
    world::{Service, World},
};

/// Two of four connections are for later attempts, and mailboxes hang for longer than any test
/// lasts.
async fn narrow(server: &SmtpServer) -> (World, Service) {
    server.on(Phase::Rcpt).to("hung@example.com").hang();
    let settings = [
        ("USHER_MAIL_CONNECTIONS", "4"),
        ("USHER_MAIL_SLOW_AFTER", "100ms"),
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
    ];
    let world = World::before(server);
    let service = world.start_with(&settings).await;
    (world, service)
}

/// How long 400 good mails take, four at a time, while `hung` mailboxes that never answer RCPT are
/// offered among them. Scaled down: 50 hung ones, and a first attempt moves over after 100 ms
/// instead of 2 s.
async fn time_of_good_mails(hung: usize) -> Duration {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).to("hung@example.com").hang();
    server
        .on(Phase::FinalDot)
        .after(Duration::from_millis(10))
        .proceed();
    let settings = [
        ("USHER_MAIL_CONNECTIONS", "16"),
        ("USHER_MAIL_SLOW_AFTER", "100ms"),
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
    ];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let (mut good, bad) = (service.client().open().await, service.client().open().await);
    assert_eq!(
        good.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    let started = Instant::now();
    for number in 0..4 {
        good.offer(mail(&format!("ada{number}@example.com"))).await;
    }
    for number in 4..404 {
        assert_eq!(good.result().await.outcome(), Outcome::Accepted);
        good.offer(mail(&format!("ada{number}@example.com"))).await;
        if number % 8 == 0 && number / 8 <= hung {
            bad.offer(mail("hung@example.com")).await;
        }
    }
    started.elapsed()
}

#[tokio::test]
async fn i17_hanging_mailboxes_slow_the_others_at_most_to_half() {
    // Side by side, so that a busy machine slows both.
    let (alone, among) = tokio::join!(time_of_good_mails(0), time_of_good_mails(50));
    assert!(
        among <= alone * 2,
        "{alone:?} alone, {among:?} among hanging ones"
    );
}

#[tokio::test]
async fn i17_later_attempts_use_at_most_half_of_the_connections() {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server).await;
    let (mut first, later) = (service.client().open().await, service.client().open().await);
    for _ in 0..10 {
        later.offer(again(&mail("hung@example.com"))).await;
    }
    server
        .until("their half to be full", |server| server.connections() == 2)
        .await;
    for _ in 0..20 {
        assert_eq!(
            first.deliver(mail("ada@example.com")).await.outcome(),
            Outcome::Accepted
        );
    }
    assert!(server.peak_connections() <= 4);
}

#[tokio::test]
async fn i17_a_first_attempt_that_hangs_moves_over_before_the_later_ones_that_queue() {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server).await;
    let (mut good, hung) = (service.client().open().await, service.client().open().await);
    assert_eq!(
        good.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    for _ in 0..10 {
        hung.offer(again(&mail("hung@example.com"))).await;
    }
    server
        .until("their half to be full", |server| server.connections() == 2)
        .await;
    for _ in 0..10 {
        hung.offer(mail("hung@example.com")).await;
    }
    server
        .until("all to be in use", |server| server.connections() >= 4)
        .await;
    for _ in 0..20 {
        assert_eq!(
            good.deliver(mail("ada@example.com")).await.outcome(),
            Outcome::Accepted
        );
    }
}

#[tokio::test]
async fn i17_a_later_attempt_that_waits_for_its_share_does_not_keep_others_from_trying_the_mail_server()
 {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server).await;
    let (mut first, later) = (service.client().open().await, service.client().open().await);
    for _ in 0..2 {
        later.offer(again(&mail("hung@example.com"))).await;
    }
    server
        .until("their half to be full", |server| server.connections() == 2)
        .await;
    server.on(Phase::Connect).times(1).drop_connection();
    assert_eq!(
        first.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Unavailable
    );
    wait_as_told(&first.deliver(mail("ada@example.com")).await).await;
    for _ in 0..3 {
        later.offer(again(&mail("eve@example.com"))).await;
    }
    assert_eq!(
        first.deliver(mail("no address")).await.outcome(),
        Outcome::Invalid
    );
    for _ in 0..20 {
        assert_eq!(
            first.deliver(mail("ada@example.com")).await.outcome(),
            Outcome::Accepted
        );
    }
}
