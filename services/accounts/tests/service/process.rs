//! The real process: killed, stopped, refused.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use kit::testing::{SOON, eventually};
use proto::{events::headers, streams::ACCOUNTS};
use tokio::task::JoinSet;

use crate::{
    client::{Client, sign_up},
    world::{UNPUBLISHED, World},
};

/// Signs people up without a pause, 50 at a time, until the service does not answer any more.
/// Returns the ids of the acknowledged accounts.
async fn sign_up_until_the_end(client: Client, round: usize) -> HashSet<String> {
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let client = client.clone();
        callers.spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0.. {
                match client
                    .create(sign_up(&format!("ada{round}.{caller}.{n}@example.org")))
                    .await
                {
                    Ok(account) => acknowledged.push(account.account_id),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

/// The accounts in the database, as text, once both tables have been compared.
async fn accounts_with_their_events(world: &World) -> HashSet<String> {
    let without_event = "accounts WHERE id NOT IN (SELECT aggregate_id FROM outbox)";
    let without_account = "outbox WHERE aggregate_id NOT IN (SELECT id FROM accounts)";
    assert_eq!(
        world.count(without_event).await,
        0,
        "accounts without an event"
    );
    assert_eq!(
        world.count(without_account).await,
        0,
        "events without an account"
    );
    world
        .texts("SELECT lower(hex(id)) FROM accounts")
        .await
        .into_iter()
        .collect()
}

fn without_hyphens(ids: &HashSet<String>) -> HashSet<String> {
    ids.iter().map(|id| id.replace('-', "")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_i02_after_kill_nine_every_acknowledged_account_is_there_with_its_event_and_gets_published()
 {
    let world = World::new().await;
    let mut acknowledged = HashSet::new();
    for round in 0..3 {
        let process = world.process(&[]).await;
        let load = tokio::spawn(sign_up_until_the_end(process.client(), round));
        let enough = 200 * (i64::try_from(round).unwrap() + 1);
        let some = async || (world.count("accounts").await > enough).then_some(());
        eventually("some accounts", SOON, some).await;
        process.kill().await;
        acknowledged.extend(load.await.unwrap());
        let stored = accounts_with_their_events(&world).await;
        assert!(
            without_hyphens(&acknowledged).is_subset(&stored),
            "an acknowledged account is missing"
        );
    }
    let _last = world.process(&[]).await;
    world.until_none(UNPUBLISHED).await;
    let published = published_accounts(&world).await;
    assert!(without_hyphens(&published).is_superset(&without_hyphens(&acknowledged)));
}

/// The accounts that the stream tells of.
async fn published_accounts(world: &World) -> HashSet<String> {
    let bus = world.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let mut accounts = HashSet::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let event = stream.get_raw_message(sequence).await.unwrap();
        accounts.insert(
            event
                .headers
                .get(headers::SUBJECT)
                .unwrap()
                .as_str()
                .to_owned(),
        );
    }
    accounts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_sigterm_under_load_loses_nothing_and_takes_less_than_ten_seconds() {
    let world = World::new().await;
    let process = world.process(&[]).await;
    let load = tokio::spawn(sign_up_until_the_end(process.client(), 0));
    eventually("some accounts", SOON, async || {
        (world.count("accounts").await > 200).then_some(())
    })
    .await;
    let asked = Instant::now();
    process.terminate().await;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        asked.elapsed()
    );
    let acknowledged = load.await.unwrap();
    let stored = accounts_with_their_events(&world).await;
    assert!(without_hyphens(&acknowledged).is_subset(&stored));
    let _next = world.process(&[]).await;
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_database_is_told_who_has_it() {
    let world = World::new().await;
    let first = world.process(&[]).await;
    let (ended_well, said) = world.run(&[]).await;
    assert!(!ended_well);
    assert!(
        said.contains(&format!("in use by process {}", first.id())),
        "{said}"
    );
}

#[tokio::test]
async fn a_dispatcher_that_does_not_exist_is_refused_by_its_name() {
    let world = World::new().await;
    let (ended_well, said) = world.run(&[("USHER_DISPATCHER", "carrier-pigeon")]).await;
    assert!(!ended_well);
    for part in [
        "USHER_DISPATCHER",
        "the environment",
        "carrier-pigeon",
        "jetstream",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_no_log_line_and_no_metric_holds_an_address_or_a_key_even_when_things_go_wrong() {
    let world = World::new().await;
    let process = world.process(&[("RUST_LOG", "debug")]).await;
    let client = process.client();
    let ada = "canary.address@example.org";
    let key = "canary-idempotency-key";
    client.create_under(key, sign_up(ada)).await.unwrap();
    client.create(sign_up(ada)).await.unwrap_err();
    client
        .create_under(key, sign_up("canary.other@example.org"))
        .await
        .unwrap_err();
    client
        .create(sign_up("canary address@example.org"))
        .await
        .unwrap_err();
    world
        .execute("ALTER TABLE outbox RENAME TO elsewhere")
        .await;
    let refused = client
        .create(sign_up("canary.third@example.org"))
        .await
        .unwrap_err();
    assert!(!refused.message().contains("canary"), "{refused:?}");
    let said = process.terminate().await;
    assert!(said.contains("The database refused a command."), "{said}");
    let canary = said.lines().find(|line| line.contains("canary"));
    assert_eq!(canary, None);
}

#[test]
fn a_lease_that_would_end_its_worker_is_refused_at_the_start() {
    let config = kit::config::from_pairs::<accounts::config::Config>;
    let refused = config(&[("USHER_OUTBOX_LEASE", "2ns")]).unwrap_err();
    assert!(
        refused.to_string().contains("expected at least 100ms"),
        "{refused}"
    );
}
