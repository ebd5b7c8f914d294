//! Many callers at once.

use futures::future::join_all;
use insta::assert_snapshot;
use kit::testing::{SOON, eventually};
use proto::accounts::Account;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::{
    client::{Client, reason, shown, sign_up},
    world::{UNPUBLISHED, World},
};

#[tokio::test]
async fn two_hundred_concurrent_creates_of_one_address_make_one_account() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let spellings = ["ada@example.org", "Ada@example.org", "ADA@EXAMPLE.ORG"];
    let all = (0..200).map(|n| client.create(sign_up(spellings[n % 3])));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(all).await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(reason(&refused.unwrap_err()), "ADDRESS_TAKEN");
    }
    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
}

#[tokio::test]
async fn two_thousand_concurrent_creates_share_few_transactions_and_all_are_published() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let all = (0..2_000).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.create(sign_up(&format!("ada{n}@example.org"))).await })
    });
    for reply in join_all(all).await {
        reply.unwrap().unwrap();
    }
    assert_eq!(world.accounts_events_keys().await, [2_000, 2_000, 0]);
    let transactions = world
        .number("SELECT COUNT(DISTINCT created_at) FROM outbox")
        .await;
    assert!(
        transactions < 500,
        "2,000 accounts took {transactions} transactions"
    );
    world.until_none(UNPUBLISHED).await;
}

/// Signs people up by calls of their own, none of which is answered, until one is refused; returns
/// why, and those that wait.
pub(crate) async fn until_one_is_refused(
    client: &Client,
) -> (Status, Vec<JoinHandle<Result<Account, Status>>>) {
    let mut calls = Vec::new();
    let refused = eventually("a call that is refused", SOON, async || {
        let (client, email) = (client.clone(), format!("call{}@example.org", calls.len()));
        calls.push(tokio::spawn(
            async move { client.create(sign_up(&email)).await },
        ));
        calls.iter().position(JoinHandle::is_finished)
    })
    .await;
    // Those that came after it, before it had its answer, found no room either.
    let mut refused = join_all(calls.split_off(refused)).await.into_iter();
    let first = refused.next().unwrap().unwrap().unwrap_err();
    for also in refused {
        also.unwrap().unwrap_err();
    }
    (first, calls)
}

#[tokio::test]
async fn a_caller_too_many_is_told_when_to_come_back() {
    let world = World::new().await;
    let service = world
        .start_with(&[("USHER_SIGN_UP_QUEUE", "1"), ("USHER_SIGN_UP_BATCH", "1")])
        .await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();

    // While another program writes, one sign-up is being committed, one waits, and the rest is too
    // much.
    let lock = world.lock().await;
    let (refused, waiting) = until_one_is_refused(&client).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_snapshot!(shown(&refused), @r"
    ResourceExhausted: Too many sign-ups are waiting. Nothing was stored; try again in a second.
      reason TRY_LATER of usher
      retry after 1s
    ");
    lock.rollback().await.unwrap();
    let waiting = join_all(waiting).await;
    assert!(!waiting.is_empty());
    for stored in &waiting {
        stored.as_ref().unwrap().as_ref().unwrap();
    }
    assert_eq!(world.count("accounts").await, 1 + waiting.len() as i64);
}
