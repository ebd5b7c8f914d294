//! A hole between verification and its Postgres: open connections fall silent for good, as in a
//! failover without a word. Every worker goes on within five seconds of its end, and nobody is kept
//! waiting by a replica that is in it.

use std::time::Duration;

use futures::future::join_all;
use kit::testing::{Healed, Proxy, SOON, eventually};
use proto::verification::ConfirmOutcome;
use tonic::Code;

use crate::{
    client::{Client, wrong},
    mailer::Says,
    world::World,
};

/// As a pool has connections, and some more.
const AT_ONCE: i64 = 12;
const PUBLISHED: &str = "outbox WHERE published_at IS NOT NULL";

#[tokio::test]
async fn i20_after_a_hole_of_13_s_every_worker_of_verification_goes_on() {
    all_go_on_after(Duration::from_secs(13), "hole_of_13").await;
}

#[tokio::test]
async fn i20_after_a_hole_of_20_s_every_worker_of_verification_goes_on() {
    all_go_on_after(Duration::from_secs(20), "hole_of_20").await;
}

async fn all_go_on_after(length: Duration, database: &str) {
    let Some(world) = World::on_postgres(database).await else {
        return;
    };
    let direct = world.settings().get("USHER_DATABASE_URL").to_owned();
    let proxy = Proxy::before(&direct, 1).await;
    let url = proxy.url(&direct);
    // A lease that outlives the hole: what the replica in it has sent, no other one sends
    // meanwhile.
    let through = [
        ("USHER_DATABASE_URL", &*url),
        ("USHER_DELIVERY_LEASE", "60s"),
    ];
    let inside = world.start_with(&through).await;
    let client = inside.client();
    let (confirmed, digits) = world
        .sign_up_and_read(&client, "confirmed@example.org")
        .await;
    let (resent, _) = world.sign_up_and_read(&client, "resent@example.org").await;
    let (forgotten, _) = world
        .sign_up_and_read(&client, "forgotten@example.org")
        .await;
    // A mail that the mailer answers in the hole.
    world.mailer.answers(|_| Says::Nothing);
    let late = world.sign_up("late@example.org").await;
    let late_mail = world.mailer.mail(&late, 1).await;
    world.mailer.answers(|_| Says::accepted());
    let beside = world.start().await;
    beside.client().resend(&forgotten).await.unwrap();

    let mut late_start = None;
    let healed = Healed::after(&proxy, length, async {
        world.mailer.accept(&late_mail);
        tokio::join!(
            nobody_is_served(&client, &confirmed, &digits),
            inside.tells_of_the_hole(&beside)
        );
        // The replica in the hole may have one event in its hands, and takes no more: the other has
        // the rest.
        for n in 0..AT_ONCE {
            world.sign_up(&format!("meanwhile{n}@example.org")).await;
        }
        let mailed = "codes JOIN verifications USING (account_id)
                      WHERE email LIKE 'meanwhile%' AND mail_state = 'accepted'";
        eventually("the other replica to go on", SOON, async || {
            (world.count(mailed).await >= AT_ONCE - 1).then_some(())
        })
        .await;
        // A replica that starts in the hole, and a request that is too old for it to remember.
        world.execute("UPDATE resends SET taken_1_at = 0").await;
        late_start = Some(world.start_with(&through).await);
        beside.stop().await;
    })
    .await;

    let verifications = "verifications WHERE email LIKE 'meanwhile%'";
    let noted = format!("codes WHERE account_id = '{late}' AND mail_state = 'accepted'");
    tokio::join!(
        healed.goes_on("verification: confirm", async || {
            let answer = client.try_confirm(&confirmed, &digits).await.ok()?;
            assert_eq!(answer.outcome(), ConfirmOutcome::Ok);
            Some(())
        }),
        healed.goes_on("verification: relay", async || {
            (world.count(PUBLISHED).await == 1).then_some(())
        }),
        healed.goes_on("verification: resend", async || client
            .resend(&resent)
            .await
            .ok()),
        healed.goes_on("verification: resent codes", async || {
            world.mailer.mails_of(&resent).get(1).cloned()
        }),
        healed.goes_on("verification: consumer", async || {
            (world.count(verifications).await == AT_ONCE).then_some(())
        }),
        healed.goes_on("verification: delivery, outcomes", async || {
            (world.count(&noted).await == 1).then_some(())
        }),
        healed.goes_on("verification: housekeeping", async || {
            (world.count("resends WHERE taken_1_at = 0").await == 0).then_some(())
        }),
        healed.goes_on("verification: readiness", async || {
            (inside.probe("/readyz").await.0 == 200).then_some(())
        }),
        async {
            let after = world.sign_up("after@example.org").await;
            healed
                .goes_on("verification: delivery, claims", async || {
                    world.mailer.mails_of(&after).pop()
                })
                .await;
        },
    );
    assert_eq!(
        world.mailer.mails_of(&late).len(),
        1,
        "nobody sent it a second time"
    );
    drop(late_start);
}

/// Every caller hears of it, however many come: with a right code, a wrong one, a wish, a question.
async fn nobody_is_served(client: &Client, account_id: &str, digits: &str) {
    let other = wrong(digits);
    let confirms = (0..AT_ONCE).map(|n| {
        let typed = if n % 2 == 0 { digits } else { &other };
        client.try_confirm(account_id, typed)
    });
    let resends = (0..AT_ONCE).map(|_| client.resend(account_id));
    let reads = (0..AT_ONCE).map(|_| client.get(account_id));
    let (confirms, resends, reads) =
        tokio::join!(join_all(confirms), join_all(resends), join_all(reads));
    let mut codes = Vec::new();
    codes.extend(
        confirms
            .into_iter()
            .map(|answer| answer.unwrap_err().code()),
    );
    codes.extend(resends.into_iter().map(|answer| answer.unwrap_err().code()));
    codes.extend(reads.into_iter().map(|answer| answer.unwrap_err().code()));
    for code in codes {
        assert!(
            matches!(code, Code::Unavailable | Code::Cancelled),
            "{code:?}"
        );
    }
}
