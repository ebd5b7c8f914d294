//! A hole between the mailer and its Postgres: open connections fall silent for good, as in a
//! failover without a word. Every worker goes on within five seconds of its end, and nobody is kept
//! waiting by a replica that is in it.

use std::time::Duration;

use kit::testing::{Healed, Phase, Proxy, SmtpServer};
use proto::mailer::{Mail, Outcome};

use crate::{
    client::{Delivery, mail},
    world::World,
};

/// As a pool has connections, and some more.
const AT_ONCE: usize = 12;

#[tokio::test]
async fn i20_after_a_hole_of_13_s_every_worker_of_the_mailer_goes_on() {
    all_go_on_after(Duration::from_secs(13), "hole_of_13").await;
}

#[tokio::test]
async fn i20_after_a_hole_of_20_s_every_worker_of_the_mailer_goes_on() {
    all_go_on_after(Duration::from_secs(20), "hole_of_20").await;
}

async fn all_go_on_after(length: Duration, database: &str) {
    let server = SmtpServer::start().await;
    let Some(world) = World::on_postgres(database, &server).await else {
        return;
    };
    let slowly = server.on(Phase::FinalDot).to("late@example.com");
    slowly.after(Duration::from_secs(2)).proceed();
    let slowly = server.on(Phase::Data).to("long@example.com");
    slowly.after(Duration::from_millis(2_500)).proceed();
    let direct = world.settings().get("USHER_DATABASE_URL").to_owned();
    let proxy = Proxy::before(&direct, 1).await;
    let url = proxy.url(&direct);
    let patient = [
        ("USHER_MAIL_COMMAND_DEADLINE", "10s"),
        ("USHER_MAIL_REPLY_DEADLINE", "10s"),
        ("USHER_MAIL_LEASE", "2s"),
        ("USHER_DATABASE_URL", &*url),
    ];
    let (inside, beside) = (world.start_with(&patient).await, world.start().await);
    let mut delivery = inside.client().open().await;
    accepted(&mut delivery, mail("ada@example.com")).await;
    // Its final dot is out, and its answer comes in the hole.
    let late = mail("late@example.com");
    delivery.offer(late.clone()).await;
    server
        .until("the late one's final dot", |server| {
            server.final_dots() == 2
        })
        .await;

    let mut late_start = None;
    let healed = Healed::after(&proxy, length, async {
        tokio::join!(
            nobody_is_served(&mut delivery),
            inside.tells_of_the_hole(&beside)
        );
        let mut other = beside.client().open().await;
        let old = mail("eve@example.com");
        accepted(&mut other, old.clone()).await;
        // A replica that starts in the hole, and a mail that is too old for it to keep.
        let forget = format!(
            "UPDATE mails SET keep_until = 0 WHERE code_id = '{}'",
            old.code_id
        );
        world.execute(&forget).await;
        late_start = Some(world.start_with(&patient).await);
    })
    .await;

    let noted = format!(
        "attempts WHERE outcome = 'accepted' AND code_id = '{}'",
        late.code_id
    );
    let broken = Mail {
        digits: "no code".to_owned(),
        ..mail("ada@example.com")
    };
    let refused = format!(
        "mails WHERE state = 'invalid' AND code_id = '{}'",
        broken.code_id
    );
    let (mut claims, mut refusals, mut leases) = (
        inside.client().open().await,
        inside.client().open().await,
        inside.client().open().await,
    );
    tokio::join!(
        healed.goes_on("mailer: look-ups and claims", async || {
            let result = claims.deliver(mail("after@example.com")).await;
            (result.outcome() == Outcome::Accepted).then_some(())
        }),
        healed.goes_on("mailer: outcomes", async || {
            (world.count(&noted).await == 1).then_some(())
        }),
        healed.goes_on("mailer: refusals", async || {
            refusals.deliver(broken.clone()).await;
            (world.count(&refused).await == 1).then_some(())
        }),
        healed.goes_on("mailer: leases", async || {
            let result = leases.deliver(mail("long@example.com")).await;
            (result.outcome() == Outcome::Accepted).then_some(())
        }),
        healed.goes_on("mailer: housekeeping", async || {
            (world.count("mails WHERE keep_until = 0").await == 0).then_some(())
        }),
        healed.goes_on("mailer: readiness", async || {
            (inside.probe("/readyz").await.0 == 200).then_some(())
        }),
    );
    let again = Mail { attempt: 2, ..late };
    accepted(&mut delivery, again).await;
    let arrived = server.mails();
    let late_ones = arrived
        .iter()
        .filter(|mail| String::from_utf8_lossy(&mail.bytes).contains("late@example.com"));
    assert_eq!(late_ones.count(), 1);
    drop(late_start);
}

async fn accepted(delivery: &mut Delivery, mail: Mail) {
    let result = delivery.insist(&mail).await;
    assert_eq!(result.outcome(), Outcome::Accepted, "{}", result.reason);
}

/// Each offer is answered, however many wait; the late one with what the mail server said of it.
async fn nobody_is_served(delivery: &mut Delivery) {
    for n in 0..AT_ONCE {
        delivery
            .offer(mail(&format!("refused{n}@example.com")))
            .await;
    }
    let mut outcomes = Vec::new();
    for _ in 0..=AT_ONCE {
        outcomes.push(delivery.result().await.outcome());
    }
    outcomes.sort_unstable();
    let mut expected = vec![Outcome::Unavailable; AT_ONCE];
    expected.push(Outcome::Accepted);
    expected.sort_unstable();
    assert_eq!(outcomes, expected);
}
