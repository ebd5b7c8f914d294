//! A database that is locked, or refuses a part of what is to commit together.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use insta::assert_snapshot;
use kit::testing::SmallDisk;
use proto::{accounts::Account, streams::ACCOUNTS};
use tonic::{Code, Status};

use crate::{
    client::{Client, shown, sign_up},
    world::{UNPUBLISHED, World},
};

/// The n-th sign-up, under its key.
async fn numbered(client: Client, n: usize) -> Result<Account, Status> {
    client
        .create_under(
            &format!("key-of-sign-up-{n:04}"),
            sign_up(&format!("ada{n}@example.org")),
        )
        .await
}

/// The refusal that each of the first ten sign-ups gets: one comes first, the others wait behind
/// it.
async fn ten_refusals(client: &Client) -> String {
    let first = tokio::spawn(numbered(client.clone(), 0));
    tokio::task::yield_now().await;
    let mut all = join_all((1..10).map(|n| numbered(client.clone(), n))).await;
    all.push(first.await.unwrap());
    let all: BTreeSet<_> = all
        .into_iter()
        .map(|refused| shown(&refused.unwrap_err()))
        .collect();
    all.into_iter().collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_locked_database_is_unavailable_and_leaves_nothing_half_written() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();

    let lock = world.lock().await;
    assert_snapshot!(ten_refusals(&client).await, @r"
    Unavailable: The database does not answer. Try again in a moment; an idempotency-key makes that safe.
      reason UNAVAILABLE of usher
      retry after 1s
    ");
    let found = client
        .get("018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11")
        .await
        .unwrap_err();
    assert_eq!(
        found.code(),
        Code::NotFound,
        "reading goes on while somebody else writes"
    );
    lock.rollback().await.unwrap();

    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
    numbered(client, 0).await.unwrap();
    assert_eq!(world.accounts_events_keys().await, [2, 2, 1]);
}

#[tokio::test]
async fn i02_without_its_outbox_row_no_account_commits() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    world
        .execute("ALTER TABLE outbox RENAME TO elsewhere")
        .await;
    assert_snapshot!(ten_refusals(&client).await, @"Internal: Something went wrong on our side. It has been logged.");
    assert_eq!(world.count("accounts").await, 0);
    assert_eq!(world.count("idempotency_keys").await, 0);

    world
        .execute("ALTER TABLE elsewhere RENAME TO outbox")
        .await;
    numbered(client, 0).await.unwrap();
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn i02_i04_without_its_account_no_event_is_written_or_published_and_the_neighbours_in_the_group_do()
 {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON accounts WHEN NEW.locale = 'xx' \
                  BEGIN SELECT RAISE(ABORT, 'refused by the test'); END";
    world.execute(refuse).await;
    let all = (0..100).map(|n| {
        let mut request = sign_up(&format!("ada{n}@example.org"));
        if n % 20 == 7 {
            request.locale = "xx".to_owned();
        }
        client.create(request)
    });
    for (n, reply) in join_all(all).await.into_iter().enumerate() {
        match reply {
            Ok(_) => assert_ne!(n % 20, 7),
            Err(refused) => assert_eq!((refused.code(), n % 20), (Code::Internal, 7)),
        }
    }
    assert_eq!(world.accounts_events_keys().await, [95, 95, 0]);
    let matched = "accounts JOIN outbox ON outbox.aggregate_id = accounts.id";
    assert_eq!(world.count(matched).await, 95);
    world.until_none(UNPUBLISHED).await;
    let stream = world
        .nats
        .provision()
        .await
        .jetstream()
        .get_stream(ACCOUNTS.name)
        .await
        .unwrap();
    assert_eq!(stream.cached_info().state.messages, 95);
}

#[tokio::test]
async fn i19_a_caller_that_hangs_up_leaves_no_transaction_open() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    for n in 0..50 {
        let client = client.clone();
        let hasty = async move { client.create(sign_up(&format!("ada{n}@example.org"))).await };
        let _ = tokio::time::timeout(Duration::from_millis(n % 5), hasty).await;
    }
    client.create(sign_up("patient@example.org")).await.unwrap();
    let alone = "accounts WHERE id NOT IN (SELECT aggregate_id FROM outbox)";
    assert_eq!(world.count(alone).await, 0);
}

#[tokio::test]
async fn while_the_database_is_locked_each_caller_is_answered_in_time_and_none_is_stored_later() {
    let world = World::new().await;
    // Small groups, of which each waits for the lock: more of them than a call may last.
    let service = world.start_with(&[("USHER_SIGN_UP_BATCH", "16")]).await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();

    let lock = world.lock().await;
    let mut codes = BTreeSet::new();
    for answer in join_all((0..200).map(|n| numbered(client.clone(), n))).await {
        codes.insert(format!("{:?}", answer.unwrap_err().code()));
    }
    let told = ["ResourceExhausted", "Unavailable"].map(str::to_owned);
    assert_eq!(codes, BTreeSet::from(told));
    lock.rollback().await.unwrap();

    client.create(sign_up("last@example.org")).await.unwrap(); // behind all that still waited
    assert_eq!(world.accounts_events_keys().await, [2, 2, 0]);
}

#[tokio::test]
async fn a_caller_in_a_hurry_is_refused_before_its_deadline_and_not_stored() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let mut request = tonic::Request::new(sign_up("ada@example.org"));
    request.set_timeout(Duration::from_secs(1));
    let refused = client.0.clone().create_account(request).await.unwrap_err();
    assert_snapshot!(shown(&refused), @r"
    ResourceExhausted: The database is slow or locked, and could not store this in time. Nothing was stored; try again in a second.
      reason TRY_LATER of usher
      retry after 1s
    ");
    lock.rollback().await.unwrap();
    client.create(sign_up("last@example.org")).await.unwrap();
    assert_eq!(world.count("accounts").await, 2);
}

#[tokio::test]
async fn i01_after_a_full_disk_each_account_that_is_acknowledged_is_there_after_a_crash() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let world = World::on_disk(&disk).await;
    let service = world.process(&[]).await;
    let client = service.client();
    let mut acknowledged = BTreeSet::new();
    acknowledged.insert(
        client
            .create(sign_up("before@example.org"))
            .await
            .unwrap()
            .email,
    );
    disk.fill();
    let mut refused = 0;
    // What is written in small pieces still finds room for a while.
    while refused < 3 {
        assert!(acknowledged.len() < 1_000, "the disk is full");
        let email = format!("full{}@example.org", acknowledged.len() + refused);
        match client.create(sign_up(&email)).await {
            Ok(account) => drop(acknowledged.insert(account.email)),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                refused += 1;
            }
        }
    }
    disk.free();
    for n in 0..10 {
        let account = client
            .create(sign_up(&format!("after{n}@example.org")))
            .await;
        acknowledged.insert(account.unwrap().email);
    }
    service.kill().await;
    let found: BTreeSet<_> = world
        .texts("SELECT email FROM accounts")
        .await
        .into_iter()
        .collect();
    assert_eq!(found, acknowledged);
}
