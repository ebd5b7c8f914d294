//! The same on Postgres, with two replicas: what depends on the database's dialect, locks and isolation.

use std::collections::HashSet;

use accounts::migrations::Migrator;
use futures::future::join_all;
use kit::{
    clock::Clock,
    db::Db,
    testing::{Postgres, eventually},
};
use proto::accounts::{AccountStatus, ListAccountsRequest};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, TransactionTrait as _};
use tonic::Code;

use crate::{
    verified::{CONFIRMED, publish, verified, wait_for_verified},
    world::{SOON, Service, World, count, reason, sign_up},
};

/// A world, a migrated database in it, and two replicas of accounts on that.
struct Pair {
    world: World,
    database: DatabaseConnection,
    replicas: [Service; 2],
}

impl Pair {
    async fn start(name: &str) -> Option<Self> {
        let url = Postgres::shared().await?.database(name).await;
        let world = World::new().await;
        Db::connect(&url.parse().unwrap(), Clock::default())
            .await
            .unwrap()
            .migrate::<Migrator>()
            .await
            .unwrap();
        let key = world.file("fingerprint-key").display().to_string();
        let settings = [
            ("USHER_DATABASE_URL", url.as_str()),
            ("USHER_FINGERPRINT_KEY_FILE", &key),
        ];
        let replicas = [
            world.accounts_with(&settings).await,
            world.accounts_with(&settings).await,
        ];
        Some(Self {
            world,
            database: Database::connect(url).await.unwrap(),
            replicas,
        })
    }

    async fn count(&self, table: &str) -> i64 {
        count(&self.database, &format!("SELECT COUNT(*) FROM {table}")).await
    }

    async fn rows(&self) -> [i64; 3] {
        [
            self.count("accounts").await,
            self.count("outbox").await,
            self.count("idempotency_keys").await,
        ]
    }
}

#[tokio::test]
async fn on_postgres_one_address_at_two_replicas_makes_one_account() {
    let Some(pair) = Pair::start("one_address").await else {
        return;
    };
    let clients = [pair.replicas[0].client(), pair.replicas[1].client()];
    let all = (0..200).map(|n| clients[n % 2].create(sign_up("ada@example.org")));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(all).await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(reason(&refused.unwrap_err()), "ADDRESS_TAKEN");
    }
    assert_eq!(pair.rows().await, [1, 1, 0]);
}

#[tokio::test]
async fn on_postgres_one_key_at_two_replicas_makes_one_account_and_one_reply() {
    let Some(pair) = Pair::start("one_key").await else {
        return;
    };
    let clients = [pair.replicas[0].client(), pair.replicas[1].client()];
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
    assert_eq!(pair.rows().await, [1, 1, 1]);
}

#[tokio::test]
async fn on_postgres_overlapping_groups_of_two_replicas_never_deadlock() {
    let Some(pair) = Pair::start("overlapping").await else {
        return;
    };
    let clients = [pair.replicas[0].client(), pair.replicas[1].client()];
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
    assert_eq!(pair.rows().await, [500, 500, 0]);
    let all = async || (pair.count("outbox WHERE published_at IS NULL").await == 0).then_some(());
    eventually("all events to be published", SOON, all).await;
}

#[tokio::test]
async fn on_postgres_accounts_are_verified_watched_and_listed_at_any_replica() {
    let Some(pair) = Pair::start("verified").await else {
        return;
    };
    let bus = pair.world.provision().await;
    let (here, there) = (pair.replicas[0].client(), pair.replicas[1].client());
    let account = here.create(sign_up("ada@example.org")).await.unwrap();
    let mut watches = [
        here.watch(&account.account_id).await.unwrap(),
        there.watch(&account.account_id).await.unwrap(),
    ];
    publish(&bus, &verified(&account.account_id, CONFIRMED)).await;
    let account = wait_for_verified(&there, &account.account_id).await;
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
    let request = pair.replicas[1].as_operator(ListAccountsRequest::default());
    let listed = pair.replicas[1]
        .admin()
        .list_accounts(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.accounts, [account]);
}

#[tokio::test]
async fn on_postgres_a_locked_table_is_unavailable_and_leaves_nothing_half_written() {
    let Some(pair) = Pair::start("locked").await else {
        return;
    };
    let client = pair.replicas[0].client();
    let lock = pair.database.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE accounts IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let refused = client
        .create_under("key-of-one-sign-up", sign_up("ada@example.org"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    lock.rollback().await.unwrap();
    assert_eq!(pair.rows().await, [0, 0, 0]);
    client
        .create_under("key-of-one-sign-up", sign_up("ada@example.org"))
        .await
        .unwrap();
    assert_eq!(pair.rows().await, [1, 1, 1]);
}

#[tokio::test]
async fn on_postgres_a_broken_connection_is_unavailable_and_the_next_one_serves() {
    let Some(pair) = Pair::start("broken").await else {
        return;
    };
    let client = pair.replicas[0].client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..20 {
        pair.database.execute_unprepared(others).await.unwrap();
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
    assert_eq!(pair.count(alone).await, 0);
}
