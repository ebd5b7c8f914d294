//! Mails that are claimed while they wait for their connection: how many there are, and what becomes
//! of them when they do not get it.

use std::time::Duration;

use kit::testing::{Phase, SOON, SmtpServer, eventually};
use proto::mailer::{Mail, Outcome};

use crate::{
    client::{Delivery, again, attempts, mail},
    world::World,
};

/// Two connections, which nobody gives up; and claims that nobody finds lapsed in a test's time.
const NARROW: [(&str, &str); 7] = [
    ("USHER_MAIL_CONNECTIONS", "2"),
    ("USHER_MAIL_CONNECT_DEADLINE", "1m"),
    ("USHER_MAIL_GREETING_DEADLINE", "1m"),
    ("USHER_MAIL_TLS_DEADLINE", "1m"),
    ("USHER_MAIL_SLOW_AFTER", "1m"),
    ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
    ("USHER_MAIL_LEASE", "1m"),
];

/// Offers mails until both connections wait for the mail server and as many more are claimed; those
/// that were offered, in their order.
async fn under_way(
    world: &World,
    server: &SmtpServer,
    delivery: &Delivery,
    number: usize,
) -> Vec<Mail> {
    let mails: Vec<Mail> = (0..number)
        .map(|n| mail(&format!("ada{n}@example.com")))
        .collect();
    let (first, rest) = mails.split_at(2);
    for offered in first {
        delivery.offer(offered.clone()).await;
    }
    server
        .until("both connections to be taken", |server| {
            server.connections() == 2
        })
        .await;
    for offered in rest {
        delivery.offer(offered.clone()).await;
    }
    eventually("as many more to be claimed", SOON, async || {
        (world.count("mails WHERE state = 'sending'").await == 4).then_some(())
    })
    .await;
    mails
}

/// Offers a mail until it is taken, and how many unknown attempts it has by then.
async fn accepted(delivery: &mut Delivery, offered: &Mail) -> u32 {
    let mut offered = again(offered);
    eventually("the mail to be taken", SOON, async || {
        let result = delivery.insist(&offered).await;
        offered = again(&offered);
        (result.outcome() == Outcome::Accepted).then_some(result.unknown_attempts)
    })
    .await
}

/// Starts a mailer anew, before a mail server that takes everything, and offers it the mails: the
/// unknown attempts of each, and how many mails arrived.
async fn sent_by_the_next_start(world: &World, mails: &[Mail]) -> (Vec<u32>, usize) {
    let willing = SmtpServer::start().await;
    let url = willing.url();
    let settings = [NARROW.as_slice(), &[("USHER_MAIL_URL", &*url)]].concat();
    let process = world.process(&settings).await;
    let mut delivery = process.client().open().await;
    let mut unknown = Vec::with_capacity(mails.len());
    for offered in mails {
        unknown.push(accepted(&mut delivery, offered).await);
    }
    process.kill().await;
    (unknown, willing.mails().len())
}

#[tokio::test]
async fn i08_a_crash_counts_what_is_under_way_and_the_next_of_each_connection_and_no_more() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).hang();
    let world = World::before(&server);
    let process = world.process(&NARROW).await;
    let delivery = process.client().open().await;
    let mails = under_way(&world, &server, &delivery, 6).await;
    process.kill().await;

    let (unknown, arrived) = sent_by_the_next_start(&world, &mails).await;
    assert_eq!(unknown, [1, 1, 1, 1, 0, 0]);
    assert_eq!((server.mails().len(), arrived), (0, 6));
}

#[tokio::test]
async fn i18_a_stop_lets_go_of_what_is_claimed_and_has_no_connection_yet() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).hang();
    let world = World::before(&server);
    let process = world.process(&NARROW).await;
    let mut delivery = process.client().open().await;
    let mails = under_way(&world, &server, &delivery, 4).await;
    process.terminate().await;
    let mut let_go = 0;
    for _ in &mails {
        let result = delivery.result_or_end().await.expect("each has its answer");
        let_go += usize::from(result.outcome() == Outcome::InFlight);
    }
    assert_eq!(let_go, 2);
    assert_eq!(world.count("mails WHERE state = 'sending'").await, 0);

    let (unknown, arrived) = sent_by_the_next_start(&world, &mails).await;
    assert_eq!(unknown, [0, 0, 0, 0]);
    assert_eq!((server.mails().len(), arrived), (0, 4));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_along_what_is_claimed_and_has_no_connection_yet() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).hang();
    let world = World::before(&server);
    let process = world.process(&NARROW).await;
    let delivery = process.client().open().await;
    let mails = under_way(&world, &server, &delivery, 4).await;
    drop(delivery);
    eventually("the others to be let go", SOON, async || {
        (world.count("mails WHERE state = 'sending'").await == 2).then_some(())
    })
    .await;
    process.kill().await;

    let (unknown, _) = sent_by_the_next_start(&world, &mails).await;
    assert_eq!(unknown, [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_circuit_that_opens_lets_go_of_what_is_claimed_and_has_no_connection_yet() {
    let server = SmtpServer::start().await;
    // As many as may be under way before it opens: whoever takes a connection that is given up may
    // be under way, too.
    server.on(Phase::Rcpt).times(3).hang();
    let world = World::before(&server);
    let settings = [
        NARROW.as_slice(),
        &[
            ("USHER_MAIL_COMMAND_DEADLINE", "6s"),
            ("USHER_MAIL_FIRST_PAUSE", "8s"),
            ("USHER_MAIL_LONGEST_PAUSE", "8s"),
        ],
    ];
    let service = world.start_with(&settings.concat()).await;
    let mut delivery = service.client().open().await;
    let mails = under_way(&world, &server, &delivery, 4).await;
    let (mut hung, mut let_go) = (0, 0);
    for _ in &mails {
        let result = delivery.result().await;
        match result.outcome() {
            Outcome::Unavailable => hung += 1,
            Outcome::InFlight => {
                let_go += 1;
                let pause = Duration::try_from(result.retry_after.unwrap()).unwrap();
                assert!(pause <= Duration::from_secs(8), "the pause, not a lease");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        let_go > 0,
        "both hung before the last one had its connection"
    );
    assert_eq!(attempts(&service).await.len(), hung, "of the others, none");
    for offered in &mails {
        assert_eq!(accepted(&mut delivery, offered).await, 0);
    }
    assert_eq!(server.mails().len(), 4);
}
