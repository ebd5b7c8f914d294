//! A hole between accounts and its Postgres: open connections fall silent for good, as in a
//! failover without a word. Every worker goes on within five seconds of its end, and nobody is kept
//! waiting by a replica that is in it.

use std::time::Duration;

use futures::future::join_all;
use kit::{
    bus::Bus,
    testing::{Healed, Proxy, SOON, eventually},
};
use proto::accounts::Account;
use tonic::Code;

use crate::{
    client::{Client, sign_up},
    verified::{CONFIRMED, publish, verified},
    world::World,
};

/// As a pool has connections, and some more.
const AT_ONCE: usize = 12;
const VERIFIED: &str = "accounts WHERE status = 'verified'";

#[tokio::test]
async fn i20_after_a_hole_of_13_s_every_worker_of_accounts_goes_on() {
    all_go_on_after(Duration::from_secs(13), "hole_of_13").await;
}

#[tokio::test]
async fn i20_after_a_hole_of_20_s_every_worker_of_accounts_goes_on() {
    all_go_on_after(Duration::from_secs(20), "hole_of_20").await;
}

async fn all_go_on_after(length: Duration, database: &str) {
    let Some(world) = World::on_postgres(database).await else {
        return;
    };
    let bus = world.nats.provision().await;
    let proxy = Proxy::before(world.settings().get("USHER_DATABASE_URL"), 1).await;
    let through = [(
        "USHER_DATABASE_URL",
        &*proxy.url(world.settings().get("USHER_DATABASE_URL")),
    )];
    let (inside, beside) = (world.start_with(&through).await, world.start().await);
    let client = inside.client();
    let accounts = sign_up_all(&client, "before").await;
    let (watched, confirmed) = accounts.split_last().unwrap();

    let mut late = None;
    let healed = Healed::after(&proxy, length, async {
        tokio::join!(
            nobody_is_served(&client, watched),
            inside.tells_of_the_hole(&beside)
        );
        confirm(&bus, confirmed).await;
        // The replica in the hole may have one event in its hands, and takes no more: the other has
        // the rest.
        eventually("the other replica to go on", SOON, async || {
            (world.count(VERIFIED).await >= confirmed.len() as i64 - 1).then_some(())
        })
        .await;
        // A replica that starts in the hole, and keys that are too old for it to forget.
        let keyed = beside.client();
        keyed
            .create_under("key-of-one-sign-up", sign_up("key@example.org"))
            .await
            .unwrap();
        world
            .execute("UPDATE idempotency_keys SET created_at = 0")
            .await;
        late = Some(world.start_with(&through).await);
    })
    .await;

    let published = "outbox WHERE published_at IS NOT NULL AND aggregate_id IN
                     (SELECT id FROM accounts WHERE email_key = 'after@example.org')";
    tokio::join!(
        healed.goes_on("accounts: sign-ups", async || {
            client.create(sign_up("after@example.org")).await.ok()
        }),
        healed.goes_on("accounts: relay", async || {
            (world.count(published).await == 1).then_some(())
        }),
        healed.goes_on("accounts: consumer", async || {
            (world.count(VERIFIED).await == confirmed.len() as i64).then_some(())
        }),
        healed.goes_on("accounts: readers", async || client
            .get(&watched.account_id)
            .await
            .ok()),
        healed.goes_on("accounts: housekeeping", async || {
            (world.count("idempotency_keys").await == 0).then_some(())
        }),
        healed.goes_on("accounts: readiness", async || {
            (inside.probe("/readyz").await.0 == 200).then_some(())
        }),
    );
    confirm(&bus, std::slice::from_ref(watched)).await;
    healed
        .goes_on("accounts: watches", async || {
            Some(client.verified(&watched.account_id).await)
        })
        .await;
    assert_eq!(
        world
            .count("accounts WHERE email_key LIKE 'refused%'")
            .await,
        0
    );
    drop(late);
}

/// Every caller hears of it: the group's, however many wait behind it, and those who only read.
async fn nobody_is_served(client: &Client, known: &Account) {
    let sign_ups = (0..AT_ONCE).map(|n| {
        let (client, email) = (client.clone(), format!("refused{n}@example.org"));
        async move { client.create(sign_up(&email)).await }
    });
    let reads = (0..AT_ONCE).map(|_| client.get(&known.account_id));
    let (sign_ups, reads) = tokio::join!(join_all(sign_ups), join_all(reads));
    for answer in sign_ups.into_iter().chain(reads) {
        let code = answer.unwrap_err().code();
        assert!(
            matches!(code, Code::Unavailable | Code::Cancelled),
            "{code:?}"
        );
    }
}

async fn sign_up_all(client: &Client, name: &str) -> Vec<Account> {
    let all = (0..AT_ONCE).map(|n| {
        let (client, email) = (client.clone(), format!("{name}{n}@example.org"));
        async move { client.create(sign_up(&email)).await.unwrap() }
    });
    join_all(all).await
}

async fn confirm(bus: &Bus, accounts: &[Account]) {
    for account in accounts {
        publish(bus, &verified(&account.account_id, CONFIRMED)).await;
    }
}
