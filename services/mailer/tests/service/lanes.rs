//! The lanes: mailboxes that hang crowd each other out and hold up nobody else.

use std::time::{Duration, Instant};

use kit::testing::{Phase, SOON, SmtpServer};
use proto::mailer::{Outcome, Result as MailResult};

use crate::{
    client::{Delivery, again, mail, wait_as_told},
    world::{Service, World},
};

const HUNG: &str = "hung@example.com";

/// Two of four connections are for later attempts, and mailboxes hang for longer than any test
/// lasts.
async fn narrow(server: &SmtpServer, more: &[(&str, &str)]) -> (World, Service) {
    server.on(Phase::Rcpt).to(HUNG).hang();
    let settings = [
        ("USHER_MAIL_CONNECTIONS", "4"),
        ("USHER_MAIL_SLOW_AFTER", "100ms"),
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
    ];
    let world = World::before(server);
    let service = world.start_with(&[&settings, more].concat()).await;
    (world, service)
}

/// How long 800 good mails take at default settings, while `hung` mailboxes that never answer RCPT
/// are offered evenly among them. One stream holds as many first attempts as verification puts on
/// one.
async fn time_of_good_mails(hung: usize) -> Duration {
    const GOOD: usize = 800;
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).to(HUNG).hang();
    let world = World::before(&server);
    let service = world.start_with_defaults().await;
    let mut delivery = service.client().open().await;
    let room = delivery.window as usize * 3 / 4;
    let mut mails = Vec::new();
    for number in 0..GOOD {
        mails.push(mail(&format!("ada{number}@example.com")));
        let due = hung * (number + 1) / GOOD - hung * number / GOOD;
        mails.extend((0..due).map(|_| mail(HUNG)));
    }
    let (mut mails, started) = (mails.into_iter(), Instant::now());
    let (mut under_way, mut accepted) = (0, 0);
    while accepted < GOOD {
        for next in mails.by_ref().take(room - under_way) {
            delivery.offer(next).await;
            under_way += 1;
        }
        let result = delivery.result().await;
        under_way -= 1;
        accepted += usize::from(result.outcome() == Outcome::Accepted);
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_among_500_hanging_mailboxes_800_good_mails_take_at_most_twice_as_long() {
    // Side by side, so that a busy machine slows both.
    let (alone, among) = tokio::join!(time_of_good_mails(0), time_of_good_mails(500));
    assert!(
        among <= alone * 2,
        "{alone:?} alone, {among:?} among hanging ones"
    );
}

/// Offers hanging mailboxes and good ones in turn, for as long as the mailer takes them, until the
/// mail of this id is answered.
async fn result_among_hanging_ones(delivery: &mut Delivery, id: &str) -> MailResult {
    for _ in 0..40 {
        delivery.offer(mail(HUNG)).await;
        delivery.offer(mail("ada@example.com")).await;
    }
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        let result = delivery.result().await;
        if result.code_id == id {
            return result;
        }
        let next = if result.outcome() == Outcome::Accepted {
            "ada@example.com"
        } else {
            HUNG
        };
        delivery.offer(mail(next)).await;
    }
    panic!("waited {SOON:?} in vain for the mail's result");
}

#[tokio::test]
async fn i17_a_mailbox_that_is_merely_slow_gets_its_mail_among_hanging_ones() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).to(HUNG).hang();
    let slowly = server.on(Phase::Rcpt).to("slow@example.com");
    slowly.after(Duration::from_secs(10)).proceed();
    let world = World::before(&server);
    let service = world.start_with_defaults().await;
    let mut delivery = service.client().open().await;
    let accepted = delivery.deliver(mail("ada@example.com")).await;
    assert_eq!(accepted.outcome(), Outcome::Accepted);
    let slow = mail("slow@example.com");
    delivery.offer(slow.clone()).await;
    let first = result_among_hanging_ones(&mut delivery, &slow.code_id).await;
    assert_eq!(first.outcome(), Outcome::Unavailable, "{}", first.reason);
    // Some that hang have come to their second attempt, too.
    for _ in 0..4 {
        delivery.offer(again(&mail(HUNG))).await;
    }
    delivery.offer(again(&slow)).await;
    let second = result_among_hanging_ones(&mut delivery, &slow.code_id).await;
    assert_eq!(second.outcome(), Outcome::Accepted, "{}", second.reason);
}

#[tokio::test]
async fn i17_a_mail_server_that_is_slow_for_all_gets_every_mail_at_its_first_attempt() {
    for (answer_after, mails) in [(300, 160), (3_000, 48)] {
        let server = SmtpServer::start().await;
        let answer_after = Duration::from_millis(answer_after);
        server.on(Phase::Rcpt).after(answer_after).proceed();
        let world = World::before(&server);
        let service = world.start_with_defaults().await;
        let mut delivery = service.client().open().await;
        for number in 0..mails {
            let offered = mail(&format!("ada{number}@example.com"));
            delivery.offer(offered).await;
        }
        for _ in 0..mails {
            let result = delivery.result().await;
            assert_eq!(result.outcome(), Outcome::Accepted, "{}", result.reason);
        }
    }
}

#[tokio::test]
async fn i17_later_attempts_use_at_most_half_of_the_connections() {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server, &[]).await;
    let (mut first, later) = (service.client().open().await, service.client().open().await);
    for _ in 0..10 {
        later.offer(again(&mail(HUNG))).await;
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
async fn i17_a_later_attempt_that_hangs_gives_way_to_those_that_queue_behind_it() {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server, &[]).await;
    let (mut good, hung) = (service.client().open().await, service.client().open().await);
    assert_eq!(
        good.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    for _ in 0..4 {
        hung.offer(again(&mail(HUNG))).await;
    }
    server
        .until("their half to be full", |server| server.connections() == 2)
        .await;
    let result = good.deliver(again(&mail("ada@example.com"))).await;
    assert_eq!(result.outcome(), Outcome::Accepted);
}

#[tokio::test]
async fn i17_a_first_attempt_that_hangs_moves_over_before_the_later_ones_that_queue() {
    let server = SmtpServer::start().await;
    let (_world, service) = narrow(&server, &[]).await;
    let (mut good, hung) = (service.client().open().await, service.client().open().await);
    assert_eq!(
        good.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    for _ in 0..10 {
        hung.offer(again(&mail(HUNG))).await;
    }
    server
        .until("their half to be full", |server| server.connections() == 2)
        .await;
    for _ in 0..10 {
        hung.offer(mail(HUNG)).await;
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
    let (_world, service) = narrow(&server, &[("USHER_MAIL_FIRST_PAUSE", "2s")]).await;
    let (mut first, later) = (service.client().open().await, service.client().open().await);
    for _ in 0..2 {
        later.offer(again(&mail(HUNG))).await;
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
