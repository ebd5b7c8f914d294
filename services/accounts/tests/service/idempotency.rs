//! Repeating a request under its idempotency key.

use std::{collections::HashSet, os::unix::fs::PermissionsExt as _, time::Duration};

use futures::future::join_all;
use insta::assert_snapshot;
use tonic::Code;

use crate::{
    client::{reason, shown, sign_up},
    world::World,
};

const KEY: &str = "3f0c6a52-7d0e-4f57-9a39-1d2b8b0a7c11";

#[tokio::test]
async fn the_same_key_and_request_give_the_same_account_and_reply() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let first = client
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    let again = client
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    let same_address = client
        .create_under(KEY, sign_up("ada@EXAMPLE.org"))
        .await
        .unwrap();
    assert_eq!((&again, &same_address), (&first, &first));
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_repetition_is_recognised_after_a_restart() {
    let world = World::new().await;
    let service = world.start().await;
    let first = service
        .client()
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    service.stop().await;
    let service = world.start().await;
    assert_eq!(
        service
            .client()
            .create_under(KEY, sign_up("ada@example.org"))
            .await
            .unwrap(),
        first
    );
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    let refused = client
        .create_under(KEY, sign_up("bob@example.org"))
        .await
        .unwrap_err();
    assert_snapshot!(shown(&refused), @r"
    InvalidArgument: This idempotency-key was used for another request. Use a new key for each new request.
      reason IDEMPOTENCY_KEY_REUSED of usher
    ");
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn concurrent_repetitions_make_one_account() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let all = (0..100).map(|_| client.create_under(KEY, sign_up("ada@example.org")));
    let ids: HashSet<_> = join_all(all)
        .await
        .into_iter()
        .map(|reply| reply.unwrap().account_id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn of_concurrent_requests_under_one_key_one_wins_and_the_others_learn_why() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let all = (0..100).map(|n| client.create_under(KEY, sign_up(&format!("ada{n}@example.org"))));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(all).await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(reason(&refused.unwrap_err()), "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn the_key_of_a_refused_request_is_free_again() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("ada@example.org")).await.unwrap();
    let refused = client
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
    client
        .create_under(KEY, sign_up("bob@example.org"))
        .await
        .unwrap();
    assert_eq!(world.accounts_events_keys().await, [2, 2, 1]);
}

#[tokio::test]
async fn the_key_of_a_refused_request_is_free_again_although_its_neighbours_in_the_group_were_stored()
 {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("ada@example.org")).await.unwrap();
    let all = (0..100).map(|n| {
        let client = client.clone();
        async move {
            match n % 2 {
                0 => client.create(sign_up(&format!("bob{n}@example.org"))).await,
                _ => {
                    client
                        .create_under(
                            &format!("key-of-sign-up-{n:04}"),
                            sign_up("ada@example.org"),
                        )
                        .await
                }
            }
        }
    });
    let refused = join_all(all)
        .await
        .into_iter()
        .filter(Result::is_err)
        .count();
    assert_eq!(
        (refused, world.accounts_events_keys().await),
        (50, [51, 51, 0])
    );
}

#[tokio::test]
async fn a_key_counts_for_a_day_and_is_then_forgotten() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    client
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(24 * 60 * 60 - 60));
    let refused = client
        .create_under(KEY, sign_up("bob@example.org"))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "IDEMPOTENCY_KEY_REUSED");
    world.clock.advance(Duration::from_secs(60));
    let bob = client
        .create_under(KEY, sign_up("bob@example.org"))
        .await
        .unwrap();
    assert_eq!(
        client
            .create_under(KEY, sign_up("bob@example.org"))
            .await
            .unwrap(),
        bob
    );
    assert_eq!(world.accounts_events_keys().await, [2, 2, 1]);

    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    service.stop().await;
    let _restarted = world.start().await;
    world.until_none("idempotency_keys").await;
}

#[tokio::test]
async fn neither_key_nor_request_can_be_read_from_what_is_stored() {
    let world = World::new().await;
    let service = world.start().await;
    service
        .client()
        .create_under(KEY, sign_up("ada@example.org"))
        .await
        .unwrap();
    let hashes = "idempotency_keys WHERE length(key_hash) = 32 AND length(fingerprint) = 32";
    assert_eq!(world.count(hashes).await, 1);
    service.stop().await;
    for file in ["database.sqlite", "database.sqlite-wal"] {
        let octets = std::fs::read(world.file(file)).unwrap_or_default();
        assert!(
            !octets
                .windows(KEY.len())
                .any(|window| window == KEY.as_bytes()),
            "{file} holds the key"
        );
    }
    let mode = std::fs::metadata(world.file("fingerprint-key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
