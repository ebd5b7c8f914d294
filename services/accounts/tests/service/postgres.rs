//! The same on Postgres, with two replicas: what depends on the database's dialect, locks and
//! isolation.

use std::collections::HashSet;

use futures::future::join_all;
use kit::testing::{SOON, eventually};
use proto::accounts::{
    AccountStatus, ListAccountsRequest, accounts_admin_client::AccountsAdminClient,
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tonic::Code;

use crate::{
    batch::{all, numbered},
    client::{reason, sign_up},
    verified::{CONFIRMED, publish, verified},
    world::{UNPUBLISHED, World},
};

#[tokio::test]
async fn on_postgres_one_address_at_two_replicas_makes_one_account() {
    let Some(world) = World::on_postgres("one_address").await else {
        return;
    };
    let replicas = world.pair().await;
    let clients = [replicas[0].client(), replicas[1].client()];
    let all = (0..200).map(|n| clients[n % 2].create(sign_up("ada@example.org")));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(all).await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(reason(&refused.unwrap_err()), "ADDRESS_TAKEN");
    }
    assert_eq!(world.accounts_events_keys().await, [1, 1, 0]);
}

#[tokio::test]
async fn i14_on_postgres_the_same_items_at_two_replicas_at_once_make_each_account_once() {
    let Some(world) = World::on_postgres("one_batch").await else {
        return;
    };
    let replicas = world.pair().await;
    let clients = [replicas[0].client(), replicas[1].client()];
    let [one, other] = clients.each_ref().map(|client| {
        let items = (0..1_000).map(numbered);
        all(client, items)
    });
    let (one, other) = tokio::join!(one, other);
    for (name, answers) in &one {
        let account = answers[0].as_ref().unwrap();
        assert_eq!(other[name][0].as_ref().unwrap(), account);
    }
    assert_eq!((one.len(), other.len()), (1_000, 1_000));
    assert_eq!(world.accounts_events_keys().await, [1_000; 3]);
}

#[tokio::test]
async fn on_postgres_one_key_at_two_replicas_makes_one_account_and_one_reply() {
    let Some(world) = World::on_postgres("one_key").await else {
        return;
    };
    let replicas = world.pair().await;
    let clients = [replicas[0].client(), replicas[1].client()];
    let key = "key-of-one-sign-up";
    let all = (0..200).map(|n| clients[n % 2].create_under(key, sign_up("ada@example.org")));
    let ids: HashSet<_> = join_all(all)
        .await
        .into_iter()
        .map(|reply| reply.unwrap().account_id)
        .collect();
    assert_eq!(ids.len(), 1);
    let refused = clients[0]
        .create_under(key, sign_up("bob@example.org"))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn on_postgres_overlapping_groups_of_two_replicas_never_deadlock() {
    let Some(world) = World::on_postgres("overlapping").await else {
        return;
    };
    let replicas = world.pair().await;
    let clients = [replicas[0].client(), replicas[1].client()];
    // The same 500 addresses, from both ends.
    let all = (0..1_000).map(|n| {
        let (client, n) = if n % 2 == 0 {
            (&clients[0], n / 2)
        } else {
            (&clients[1], 499 - n / 2)
        };
        client.create(sign_up(&format!("ada{n}@example.org")))
    });
    let replies = join_all(all).await;
    let made = replies.iter().filter(|reply| reply.is_ok()).count();
    let taken = replies.iter().filter_map(|reply| reply.as_ref().err());
    assert_eq!(
        (
            made,
            taken
                .filter(|error| error.code() == Code::AlreadyExists)
                .count()
        ),
        (500, 500)
    );
    assert_eq!(world.accounts_events_keys().await, [500, 500, 0]);
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test]
async fn on_postgres_accounts_are_verified_watched_and_listed_at_any_replica() {
    let Some(world) = World::on_postgres("verified").await else {
        return;
    };
    let replicas = world.pair().await;
    let bus = world.nats.provision().await;
    let (here, there) = (replicas[0].client(), replicas[1].client());
    let account = here.create(sign_up("ada@example.org")).await.unwrap();
    let mut watches = [
        here.watch(&account.account_id).await.unwrap(),
        there.watch(&account.account_id).await.unwrap(),
    ];
    publish(&bus, &verified(&account.account_id, CONFIRMED)).await;
    let account = there.verified(&account.account_id).await;
    for watch in &mut watches {
        let mut last = None;
        while let Some(version) = watch.message().await.unwrap() {
            last = version.account;
        }
        assert_eq!(last.as_ref(), Some(&account));
    }
    assert_eq!(
        (account.status(), account.verified_at),
        (AccountStatus::Verified, Some(CONFIRMED.into()))
    );
    let request = replicas[1].as_operator(ListAccountsRequest::default());
    let listed = replicas[1]
        .admin(AccountsAdminClient::new)
        .list_accounts(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.accounts, [account]);
}

#[tokio::test]
async fn on_postgres_a_locked_table_is_unavailable_and_leaves_nothing_half_written() {
    let Some(world) = World::on_postgres("locked").await else {
        return;
    };
    let replicas = world.pair().await;
    let client = replicas[0].client();
    let lock = world.database().await.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE accounts IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let refused = client
        .create_under("key-of-one-sign-up", sign_up("ada@example.org"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    lock.rollback().await.unwrap();
    assert_eq!(world.accounts_events_keys().await, [0, 0, 0]);
    client
        .create_under("key-of-one-sign-up", sign_up("ada@example.org"))
        .await
        .unwrap();
    assert_eq!(world.accounts_events_keys().await, [1, 1, 1]);
}

#[tokio::test]
async fn on_postgres_a_broken_connection_is_unavailable_and_the_next_one_serves() {
    let Some(world) = World::on_postgres("broken").await else {
        return;
    };
    let replicas = world.pair().await;
    let client = replicas[0].client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..20 {
        world.execute(others).await;
        match client.create(sign_up(&format!("ada{n}@example.org"))).await {
            Ok(_) => {}
            Err(refused) => assert_eq!(refused.code(), Code::Unavailable),
        }
    }
    eventually("a sign-up to succeed", SOON, async || {
        client.create(sign_up("last@example.org")).await.ok()
    })
    .await;
    let alone = "accounts WHERE id NOT IN (SELECT aggregate_id FROM outbox)";
    assert_eq!(world.count(alone).await, 0);
}
