//! Many people on one stream: each item is a sign-up of its own, and has one result.

use std::collections::HashSet;

use insta::assert_snapshot;

use proto::accounts::{CreateAccountRequest, CreateAccountsRequest};
use tonic::Code;

use crate::{
    batch::{Batch, Results, all, item, numbered, read},
    client::{fields, reason, shown, sign_up},
    concurrency::until_one_is_refused,
    world::{UNPUBLISHED, World},
};

/// The ids of the accounts, each item with one result and none refused.
fn ids(results: &Results) -> HashSet<String> {
    let mut ids = HashSet::new();
    for (name, answers) in results {
        assert_eq!(answers.len(), 1, "{name}");
        ids.insert(answers[0].as_ref().unwrap().account_id.clone());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_items_have_one_result_each_share_few_transactions_and_are_published() {
    let world = World::new().await;
    let service = world.start().await;
    let results = all(&service.client(), (0..10_000).map(numbered)).await;
    assert_eq!((results.len(), ids(&results).len()), (10_000, 10_000));
    assert_eq!(world.accounts_events_keys().await, [10_000; 3]);
    let transactions = "SELECT COUNT(DISTINCT created_at) FROM outbox";
    let transactions = world.number(transactions).await;
    assert!(transactions < 2_500, "{transactions} transactions");
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test]
async fn a_broken_item_between_two_good_ones_is_refused_by_its_fields_and_they_go_through() {
    let world = World::new().await;
    let service = world.start().await;
    let broken = CreateAccountRequest {
        email: "\"ada\"@example.org".to_owned(),
        display_name: "visit example.org".to_owned(),
        locale: "de.DE".to_owned(),
    };
    let broken = CreateAccountsRequest {
        idempotency_key: "short".to_owned(),
        ..item("broken", broken)
    };
    let first = item("first", sign_up("ada@example.org"));
    let last = item("last", sign_up("bob@example.org"));
    let results = all(&service.client(), [first, broken.clone(), last]).await;
    assert_eq!(results.len(), 3);
    assert_eq!(
        results["first"][0].as_ref().unwrap().email,
        "ada@example.org"
    );
    assert_eq!(
        results["last"][0].as_ref().unwrap().email,
        "bob@example.org"
    );
    let refused = results["broken"][0].as_ref().unwrap_err();
    let alone = service
        .client()
        .create_under("short", broken.account.unwrap())
        .await
        .unwrap_err();
    assert_eq!(shown(refused), shown(&alone));
    assert_eq!(
        fields(refused),
        ["email", "display_name", "locale", "idempotency-key"]
    );
    assert_eq!(world.accounts_events_keys().await, [2, 2, 0]);
}

#[tokio::test]
async fn an_item_is_refused_in_the_words_of_the_call_that_does_the_same_for_one() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let key = "key-of-ada-and-nobody-else";
    let ada = sign_up("ada@example.org");
    client.create_under(key, ada.clone()).await.unwrap();
    let bob = CreateAccountsRequest {
        idempotency_key: key.to_owned(),
        ..item("key", sign_up("bob@example.org"))
    };
    let results = all(&client, [item("address", ada.clone()), bob]).await;
    let taken = client.create(ada).await.unwrap_err();
    let reused = client
        .create_under(key, sign_up("bob@example.org"))
        .await
        .unwrap_err();
    for (name, alone) in [("address", taken), ("key", reused)] {
        let refused = results[name][0].as_ref().unwrap_err();
        assert_eq!(shown(refused), shown(&alone), "{name}");
    }
}

#[tokio::test]
async fn names_of_items_are_echoed_even_twice_and_refused_where_they_are_none_or_too_long() {
    let world = World::new().await;
    let service = world.start().await;
    let long = "ä".repeat(33);
    let results = all(
        &service.client(),
        [
            item("same", sign_up("ada@example.org")),
            item("same", sign_up("bob@example.org")),
            item(&"a".repeat(64), sign_up("cid@example.org")),
            item(&long, sign_up("dan@example.org")),
            item("", sign_up("eve")),
        ],
    )
    .await;
    assert!(results["same"].iter().all(Result::is_ok));
    assert_eq!(results["same"].len(), 2);
    results[&"a".repeat(64)][0].as_ref().unwrap();
    let too_long = results[&"ä".repeat(32)][0].as_ref().unwrap_err();
    assert_snapshot!(shown(too_long), @r"
    InvalidArgument: item_id: must have 1 to 64 octets
      item_id: must have 1 to 64 octets
    ");
    let nameless = results[""][0].as_ref().unwrap_err();
    assert_eq!(fields(nameless), ["item_id", "email"]);
    assert_eq!(world.accounts_events_keys().await, [3, 3, 0]);
}

#[tokio::test]
async fn i14_the_same_items_again_by_stream_or_alone_create_nothing_and_have_the_same_results() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let first = all(&client, (0..500).map(numbered)).await;
    // A part of a stream that broke, twice on the next one.
    let again = all(&client, (0..500).chain(100..200).map(numbered)).await;
    for (name, answers) in &again {
        for answer in answers {
            let before = first[name][0].as_ref().unwrap();
            assert_eq!(answer.as_ref().unwrap(), before);
        }
    }
    let CreateAccountsRequest {
        idempotency_key,
        account,
        ..
    } = numbered(7);
    let alone = client
        .create_under(&idempotency_key, account.unwrap())
        .await
        .unwrap();
    assert_eq!(first["7"][0].as_ref().unwrap(), &alone);
    assert_eq!(world.accounts_events_keys().await, [500; 3]);
}

#[tokio::test]
async fn i19_where_a_call_is_refused_for_a_full_queue_items_wait_for_their_turn() {
    let world = World::new().await;
    let service = world
        .start_with(&[("USHER_SIGN_UP_QUEUE", "4"), ("USHER_SIGN_UP_BATCH", "1")])
        .await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let (_, calls) = until_one_is_refused(&client).await;
    let mut batch = Batch::open(&client).await;
    assert!(batch.send(numbered(1)).await);
    for _ in 0..20 {
        // What needs no room in the queue is answered meanwhile: the first one was read before.
        assert!(batch.send(item("broken", sign_up("ada"))).await);
        let (name, answer) = read(batch.next().await.unwrap().unwrap());
        assert_eq!(
            (&*name, answer.unwrap_err().code()),
            ("broken", Code::InvalidArgument)
        );
    }
    let refused = client.create(sign_up("last@example.org")).await;
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    lock.rollback().await.unwrap();
    batch.end();
    let (results, end) = batch.results().await;
    end.unwrap();
    assert_eq!(ids(&results).len(), 1);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn i19_a_batch_leaves_half_of_the_queue_to_calls() {
    let world = World::new().await;
    let service = world
        .start_with(&[("USHER_SIGN_UP_QUEUE", "2"), ("USHER_SIGN_UP_BATCH", "1")])
        .await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let items = client.clone();
    let batch = tokio::spawn(async move { all(&items, (0..300).map(numbered)).await });
    for _ in 0..20 {
        // Answered without the queue; meanwhile items take what they may of it.
        let refused = client.create(sign_up("ada")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let (refused, calls) = until_one_is_refused(&client).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(!calls.is_empty(), "half of the queue is for calls");
    lock.rollback().await.unwrap();
    let results = batch.await.unwrap();
    assert_eq!(ids(&results).len(), 300);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn results_come_while_items_are_sent_and_a_caller_may_wait_for_each() {
    let world = World::new().await;
    let service = world.start().await;
    let mut batch = Batch::open(&service.client()).await;
    for number in 0..20 {
        assert!(batch.send(numbered(number)).await);
        let (name, answer) = read(batch.next().await.unwrap().unwrap());
        assert_eq!(name, number.to_string());
        answer.unwrap();
    }
    batch.end();
    assert!(batch.next().await.unwrap().is_none());
}

#[tokio::test]
async fn an_item_that_is_too_long_ends_the_stream_after_the_results_of_those_before_it() {
    let world = World::new().await;
    let service = world.start().await;
    let mut batch = Batch::open(&service.client()).await;
    assert!(batch.send(numbered(1)).await);
    let long = item("long", sign_up(&"a".repeat(1 << 20)));
    assert!(batch.send(long).await);
    let (results, end) = batch.results().await;
    assert_eq!(ids(&results).len(), 1);
    assert_snapshot!(shown(&end.unwrap_err()), @r"
    ResourceExhausted: The message is longer than the 16384 bytes that are read.
      reason MESSAGE_TOO_LARGE of usher
    ");
}

#[tokio::test]
async fn a_database_that_is_locked_is_told_to_each_item_and_leaves_nothing_half_written() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let results = all(&client, (0..10).map(numbered)).await;
    assert_eq!(results.len(), 10);
    for answers in results.values() {
        let refused = answers[0].as_ref().unwrap_err();
        let word = reason(refused);
        assert!(matches!(&*word, "TRY_LATER" | "UNAVAILABLE"), "{refused:?}");
    }
    lock.rollback().await.unwrap();
    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
    let again = all(&client, (0..10).map(numbered)).await;
    assert_eq!(ids(&again).len(), 10);
}
