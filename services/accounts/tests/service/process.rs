//! The real process: killed, stopped, refused.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use kit::testing::eventually;
use proto::{events::headers, streams::ACCOUNTS};
use sea_orm::ConnectionTrait as _;
use tokio::{
    process::{Child, Command},
    task::JoinSet,
};

use crate::world::{Client, SOON, World, count, sign_up};

/// Accounts as a process of its own; killed on drop.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    /// Starts it and waits until it answers.
    async fn start(world: &World, more: &[(&str, &str)]) -> Self {
        let addr = free();
        let mut command = command(world);
        command
            .env("USHER_LISTEN", addr.to_string())
            .envs(more.iter().copied());
        let process = Self {
            child: command.spawn().unwrap(),
            addr,
        };
        let client = process.client();
        let answers = async || {
            let nobody = client
                .get("018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11")
                .await
                .unwrap_err();
            (nobody.code() == tonic::Code::NotFound).then_some(())
        };
        eventually("accounts to answer", SOON, answers).await;
        process
    }

    fn client(&self) -> Client {
        Client::of(self.addr)
    }

    /// Asks it to end, and returns what it wrote to standard error.
    async fn terminate(self) -> String {
        kit::testing::terminate(self.child.id().unwrap());
        let output = self.child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}", output.status);
        String::from_utf8(output.stderr).unwrap()
    }
}

fn command(world: &World) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accounts"));
    command
        .env_clear()
        .envs(world.settings())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Signs people up without a pause, 50 at a time, until the service does not answer any more. Returns the ids of the
/// acknowledged accounts.
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
    let database = world.database().await;
    let without_event =
        "SELECT COUNT(*) FROM accounts WHERE id NOT IN (SELECT aggregate_id FROM outbox)";
    let without_account =
        "SELECT COUNT(*) FROM outbox WHERE aggregate_id NOT IN (SELECT id FROM accounts)";
    assert_eq!(
        count(&database, without_event).await,
        0,
        "accounts without an event"
    );
    assert_eq!(
        count(&database, without_account).await,
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
        let mut process = Process::start(&world, &[]).await;
        let load = tokio::spawn(sign_up_until_the_end(process.client(), round));
        let enough = 200 * (i64::try_from(round).unwrap() + 1);
        let some = async || (world.count("accounts").await > enough).then_some(());
        eventually("some accounts", SOON, some).await;
        process.child.kill().await.unwrap();
        acknowledged.extend(load.await.unwrap());
        let stored = accounts_with_their_events(&world).await;
        assert!(
            without_hyphens(&acknowledged).is_subset(&stored),
            "an acknowledged account is missing"
        );
    }
    let _last = Process::start(&world, &[]).await;
    all_published(&world).await;
    let published = published_accounts(&world).await;
    assert!(without_hyphens(&published).is_superset(&without_hyphens(&acknowledged)));
}

async fn all_published(world: &World) {
    let all = async || (world.count("outbox WHERE published_at IS NULL").await == 0).then_some(());
    eventually("all events to be published", SOON, all).await;
}

/// The accounts that the stream tells of.
async fn published_accounts(world: &World) -> HashSet<String> {
    let bus = world.provision().await;
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
    let process = Process::start(&world, &[]).await;
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
    let _next = Process::start(&world, &[]).await;
    all_published(&world).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_database_is_told_who_has_it() {
    let world = World::new().await;
    let first = Process::start(&world, &[]).await;
    let second = command(&world).output().await.unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    let pid = first.child.id().unwrap();
    assert!(said.contains(&format!("in use by process {pid}")), "{said}");
}

#[tokio::test]
async fn a_dispatcher_that_does_not_exist_is_refused_by_its_name() {
    let world = World::new().await;
    let refused = command(&world)
        .env("USHER_DISPATCHER", "carrier-pigeon")
        .output()
        .await
        .unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
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
    let process = Process::start(&world, &[("RUST_LOG", "debug")]).await;
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
        .database()
        .await
        .execute_unprepared("ALTER TABLE outbox RENAME TO elsewhere")
        .await
        .unwrap();
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
