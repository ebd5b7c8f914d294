//! What happens when verification says that a code was confirmed.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, future::try_join_all};
use kit::{bus::Bus, clock::Timestamp, testing};
use prost::Message as _;
use proto::{
    accounts::AccountStatus,
    events::{Event as _, headers},
    verification::AccountVerified,
};

use crate::{client::sign_up, world::World};

pub(crate) const CONFIRMED: Timestamp = Timestamp(1_790_000_000_000_000);

pub(crate) fn verified(account_id: &str, at: Timestamp) -> AccountVerified {
    AccountVerified {
        account_id: account_id.to_owned(),
        verified_at: Some(at.into()),
    }
}

/// Publishes as verification does.
pub(crate) async fn publish(bus: &Bus, event: &AccountVerified) {
    let payload = event.encode_to_vec().into();
    publish_raw(bus, AccountVerified::TYPE, &event.account_id, payload).await;
}

async fn publish_raw(bus: &Bus, event_type: &str, subject: &str, payload: Bytes) {
    let id = uuid::Uuid::new_v4().to_string();
    let mut all = testing::event_headers::<AccountVerified>(&id, subject);
    all.insert(headers::TYPE, event_type);
    testing::publish(bus, AccountVerified::SUBJECT, all, payload).await;
}

#[tokio::test]
async fn account_verified_turns_the_account_verified_and_a_watch_shows_it_and_ends() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    let account = client.create(sign_up("ada@example.org")).await.unwrap();
    let mut watch = client.watch(&account.account_id).await.unwrap();
    let now = watch.message().await.unwrap().unwrap().account.unwrap();
    assert_eq!(now, account);

    publish(&bus, &verified(&account.account_id, CONFIRMED)).await;
    let then = watch.message().await.unwrap().unwrap().account.unwrap();
    assert_eq!(then.status(), AccountStatus::Verified);
    assert_eq!(then.verified_at, Some(CONFIRMED.into()));
    assert_eq!(
        watch.message().await.unwrap(),
        None,
        "nothing more can change"
    );

    let late = client.watch(&account.account_id).await.unwrap();
    let late: Vec<_> = late
        .map(|version| version.unwrap().account.unwrap())
        .collect()
        .await;
    assert_eq!(late, [then]);
}

#[tokio::test]
async fn a_repeated_event_changes_nothing() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    let bob = client.create(sign_up("bob@example.org")).await.unwrap();
    publish(&bus, &verified(&ada.account_id, CONFIRMED)).await;
    client.verified(&ada.account_id).await;
    for minutes in 1..5 {
        let later = CONFIRMED + Duration::from_secs(60 * minutes);
        publish(&bus, &verified(&ada.account_id, later)).await;
    }
    publish(&bus, &verified(&bob.account_id, CONFIRMED)).await;
    client.verified(&bob.account_id).await;
    assert_eq!(
        client.get(&ada.account_id).await.unwrap().verified_at,
        Some(CONFIRMED.into())
    );
}

#[tokio::test]
async fn i13_what_cannot_be_handled_becomes_a_dead_letter_and_holds_nobody_up() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    let nobody = "018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11";
    publish_raw(
        &bus,
        AccountVerified::TYPE,
        "",
        Bytes::from_static(b"\xff\xff broken"),
    )
    .await;
    publish_raw(
        &bus,
        "usher.verification.v2.AccountVerified",
        "",
        Bytes::new(),
    )
    .await;
    publish(&bus, &verified(nobody, CONFIRMED)).await;
    publish(&bus, &verified("no uuid", CONFIRMED)).await;
    publish(
        &bus,
        &AccountVerified {
            account_id: ada.account_id.clone(),
            verified_at: None,
        },
    )
    .await;
    publish(&bus, &verified(&ada.account_id, CONFIRMED)).await;
    client.verified(&ada.account_id).await;
    service.stop().await;
    let reasons = "SELECT reason FROM dead_letters ORDER BY reason";
    assert_eq!(
        world.texts(reasons).await,
        [
            "broken_payload",
            "invalid_fields",
            "invalid_fields",
            "unknown_account",
            "unknown_type"
        ]
    );
}

#[tokio::test]
async fn a_backlog_of_events_is_applied_whole() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    let accounts =
        try_join_all((0..500).map(|n| client.create(sign_up(&format!("ada{n}@example.org")))));
    let accounts = accounts.await.unwrap();
    for account in &accounts {
        publish(&bus, &verified(&account.account_id, CONFIRMED)).await;
    }
    // Events are handled in their order.
    client.verified(&accounts[499].account_id).await;
    assert_eq!(world.count("accounts WHERE status <> 'verified'").await, 0);
}

#[tokio::test]
async fn while_the_database_is_locked_events_are_held_and_then_applied() {
    let world = World::new().await;
    let bus = world.nats.provision().await;
    let service = world.start_with(&[("USHER_ACK_WAIT", "1s")]).await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    let lock = world.lock().await;
    publish(&bus, &verified(&ada.account_id, CONFIRMED)).await;
    // Longer than AckWait and than the service waits for a lock.
    let held = tokio::time::timeout(Duration::from_secs(6), client.verified(&ada.account_id)).await;
    assert!(held.is_err(), "nobody can write just now");
    lock.rollback().await.unwrap();
    client.verified(&ada.account_id).await;
    assert_eq!(world.count("dead_letters").await, 0);
}

#[tokio::test]
async fn a_watch_shows_what_another_replica_did() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    let mut watch = client.watch(&ada.account_id).await.unwrap();
    watch.message().await.unwrap().unwrap();
    let changed = "UPDATE accounts SET status = 'verified', verified_at = 1790000000000000";
    world.execute(changed).await;
    let then = watch.message().await.unwrap().unwrap().account.unwrap();
    assert_eq!(then.verified_at, Some(CONFIRMED.into()));
}

#[tokio::test]
async fn i18_open_watches_end_well_when_the_service_stops_and_nobody_waits_for_them() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let ada = client.create(sign_up("ada@example.org")).await.unwrap();
    let mut watch = client.watch(&ada.account_id).await.unwrap();
    watch.message().await.unwrap().unwrap();
    let both = async { tokio::join!(watch.message(), service.stop()) };
    let (last, ()) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .expect("all ends in ten seconds");
    assert_eq!(last.unwrap(), None);
}
