//! The consumer loop on a real broker and a real database: every message is acked, pending, or one
//! dead letter.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::message::PublishMessage;
use kit::{
    bus::{
        self, Bus, Change, Consumer, ConsumerSettings, Delivery, Durable, Handler, NatsUrl, Reason,
        Verdict, settle,
    },
    clock::Clock,
    db::Db,
    testing::{NatsServer, Postgres, Proxy, SOON, eventually},
};
use proto::streams::{ACCOUNTS, VERIFICATION};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One migration: trials and dead letters.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTables)]
    }
}

struct CreateTables;

impl MigrationName for CreateTables {
    fn name(&self) -> &'static str {
        "m0001_dead_letters"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        bus::create_tables(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        bus::drop_tables(manager).await
    }
}

/// A broker with the streams, and a database with the tables.
struct Ground {
    nats: NatsServer,
    bus: Bus,
    db: Db,
    _folder: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let folder = kit::testing::folder();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self::on(&url, folder).await
    }

    async fn on(url: &str, folder: tempfile::TempDir) -> Self {
        let nats = NatsServer::start().await;
        let bus = nats.provision().await;
        let db = Db::connect(&url.parse().unwrap(), Clock::default())
            .await
            .unwrap();
        db.migrate::<Migrator>().await.unwrap();
        Self {
            nats,
            bus,
            db,
            _folder: folder,
        }
    }

    fn run(&self, say: fn(&str, usize) -> Say) -> Running {
        run(&self.bus, &self.db, settings(), say)
    }

    /// What is held is to be spoken for three times in this time, or it is handed out again.
    fn run_with(&self, ack_wait: Duration, say: fn(&str, usize) -> Say) -> Running {
        let settings = ConsumerSettings {
            ack_wait,
            ..settings()
        };
        run(&self.bus, &self.db, settings, say)
    }

    /// Payload, reason and attempts of each dead letter.
    async fn dead_letters(&self) -> Vec<(String, String, i32)> {
        let sql = "SELECT payload, reason, attempts FROM dead_letters ORDER BY sequence";
        let statement = Statement::from_string(self.db.backend(), sql);
        let mut letters = Vec::new();
        for row in self.db.reader().query_all_raw(statement).await.unwrap() {
            let payload: Vec<u8> = row.try_get_by_index(0).unwrap();
            let reason = row.try_get_by_index(1).unwrap();
            let attempts = row.try_get_by_index(2).unwrap();
            letters.push((String::from_utf8(payload).unwrap(), reason, attempts));
        }
        letters
    }

    async fn trials(&self) -> i64 {
        let statement = Statement::from_string(self.db.backend(), "SELECT COUNT(*) FROM trials");
        let row = self.db.reader().query_one_raw(statement).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }
}

/// What the handler of a test does with a message.
enum Say {
    Handled,
    Never(Reason),
    NeverAlone(Reason),
    Later(Duration),
    Panic,
}

/// How often the handler was given each payload, and the sizes of the batches.
#[derive(Debug, Default, Clone)]
struct Seen {
    times: Arc<Mutex<BTreeMap<String, usize>>>,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Seen {
    fn note(&self, batch: &[Delivery]) -> Vec<(String, usize)> {
        let mut times = self.times.lock().unwrap();
        self.batches.lock().unwrap().push(batch.len());
        let count = |delivery: &Delivery| {
            let payload = delivery.header("payload").to_owned();
            let seen = times.entry(payload.clone()).or_default();
            *seen += 1;
            (payload, *seen)
        };
        batch.iter().map(count).collect()
    }

    fn times(&self, payload: &str) -> usize {
        self.times
            .lock()
            .unwrap()
            .get(payload)
            .copied()
            .unwrap_or_default()
    }

    fn distinct(&self) -> usize {
        self.times.lock().unwrap().len()
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    seen: Seen,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn settings() -> ConsumerSettings {
    ConsumerSettings {
        ack_wait: Duration::from_millis(600),
        trials: 3,
        batch: 64,
    }
}

fn durable() -> Durable {
    Durable {
        stream: ACCOUNTS,
        name: "test".to_owned(),
        filter: "accounts.v1.>".to_owned(),
    }
}

/// Runs a consumer that does what `say(payload, n)` says on the n-th sight of a payload.
fn run(bus: &Bus, db: &Db, settings: ConsumerSettings, say: fn(&str, usize) -> Say) -> Running {
    let consumer = Consumer::new(bus.clone(), db.clone(), durable(), settings);
    let (stop, seen, db) = (CancellationToken::new(), Seen::default(), db.clone());
    let noted = seen.clone();
    let handler = Handler::new(move |batch| handle(db.clone(), noted.clone(), batch, say));
    Running {
        task: tokio::spawn(consumer.run(handler, stop.clone())),
        stop,
        seen,
    }
}

/// Settles in one transaction what is to be settled.
async fn handle(
    db: Db,
    seen: Seen,
    batch: Arc<Vec<Delivery>>,
    say: fn(&str, usize) -> Say,
) -> Vec<Verdict> {
    let (mut found, mut verdicts) = (Vec::new(), Vec::new());
    for (delivery, (payload, time)) in batch.iter().zip(seen.note(&batch)) {
        verdicts.push(match say(&payload, time) {
            Say::Later(wait) => Some(Verdict::Retry(wait)),
            Say::NeverAlone(reason) => Some(Verdict::Reject(reason)),
            Say::Panic => panic!("as asked"),
            Say::Handled => {
                found.push((delivery, Ok(())));
                None
            }
            Say::Never(reason) => {
                found.push((delivery, Err(reason)));
                None
            }
        });
    }
    let settled = async { settle(db.write("test").await?, found).await };
    let Ok(settled) = settled.await else {
        return vec![Verdict::Retry(Duration::from_millis(100)); batch.len()];
    };
    let mut settled = settled.into_iter();
    let mut all = Vec::new();
    for verdict in verdicts {
        all.push(verdict.unwrap_or_else(|| Verdict::Settled(settled.next().unwrap())));
    }
    all
}

async fn publish(bus: &Bus, payloads: impl IntoIterator<Item = String>) {
    for payload in payloads {
        let message = PublishMessage::build()
            .header("payload", payload.as_str())
            .payload(payload.into());
        bus.jetstream()
            .send_publish("accounts.v1.test", message)
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

/// Waits until the durable has nothing left to do, or only what is never acknowledged. A stop would
/// leave to the broker what was not pulled yet.
async fn drained(bus: &Bus, never: usize) {
    // Twice: there is a test whose path to the broker is slow.
    eventually("all messages to be handled", SOON * 2, async || {
        let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.ok()?;
        let info = stream.consumer_info("test").await.ok()?;
        (info.num_pending == 0 && info.num_ack_pending <= never).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_message_is_handled_once_and_a_backlog_in_bundles() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..200)).await;
    let running = ground.run_with(Duration::from_secs(3), |_, _| Say::Handled);
    drained(&ground.bus, 0).await;
    publish(&ground.bus, numbers(200..600)).await;
    drained(&ground.bus, 0).await;
    assert_eq!(running.seen.distinct(), 600);
    assert_eq!(running.seen.times.lock().unwrap().values().max(), Some(&1));
    assert!(
        running
            .seen
            .batches
            .lock()
            .unwrap()
            .iter()
            .any(|size| *size > 1)
    );
    running.stop().await;
}

#[tokio::test]
async fn i13_what_is_retried_is_held_and_never_counts_towards_a_dead_letter() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..5)).await;
    // Ten times with pauses, together more than two AckWaits.
    let again = |payload: &str, time| match payload {
        "3" if time <= 10 => Say::Later(Duration::from_millis(800)),
        _ => Say::Handled,
    };
    let ack_wait = Duration::from_secs(3);
    let running = ground.run_with(ack_wait, again);
    let retried = async |times| {
        let seen = async || (running.seen.times("3") >= times).then_some(());
        eventually("a message to be tried again", SOON, seen).await;
    };
    retried(1).await;
    // Another replica pulls all the while, and gets whatever is to be handed out: also what is held
    // no longer.
    let other = ground.run_with(ack_wait, |_, _| Say::Handled);
    for (number, times) in numbers(5..10).zip([2, 4, 6, 8, 10]) {
        publish(&ground.bus, [number]).await;
        retried(times).await;
    }
    drained(&ground.bus, 0).await;
    assert_eq!(other.seen.times("3"), 0);
    assert_eq!(other.seen.distinct(), 5, "it pulled");
    assert_eq!(running.seen.times("3"), 11);
    assert_eq!(running.seen.times("4"), 1);
    assert_eq!(ground.dead_letters().await, []);
    assert_eq!(ground.trials().await, 0);
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn i13_a_rejected_message_becomes_one_dead_letter_with_its_reason() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..5)).await;
    let running = ground.run(|payload, _| match payload {
        "3" => Say::Never("too_odd"),
        "4" => Say::NeverAlone("refused_alone"),
        _ => Say::Handled,
    });
    drained(&ground.bus, 0).await;
    running.stop().await;
    let letter = |payload: &str, reason: &str| (payload.to_owned(), reason.to_owned(), 1);
    assert_eq!(
        ground.dead_letters().await,
        [letter("3", "too_odd"), letter("4", "refused_alone")]
    );
    let sql = "SELECT stream || ' ' || durable || ' ' || subject FROM dead_letters";
    let statement = Statement::from_string(ground.db.backend(), sql);
    let row = ground.db.reader().query_one_raw(statement).await.unwrap();
    let shown: String = row.unwrap().try_get_by_index(0).unwrap();
    assert_eq!(shown, "ACCOUNTS test accounts.v1.test");
}

#[tokio::test]
async fn i17_a_message_that_kills_its_handler_becomes_a_dead_letter_and_takes_nobody_along() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..20)).await;
    let running = ground.run(|payload, _| match payload {
        "7" => Say::Panic,
        _ => Say::Handled,
    });
    drained(&ground.bus, 0).await;
    assert_eq!(running.seen.times("7"), 3, "the first time, and two trials");
    running.stop().await;
    let reason = "too_many_trials".to_owned();
    assert_eq!(ground.dead_letters().await, [("7".to_owned(), reason, 3)]);
    assert_eq!(ground.trials().await, 0);
}

/// As the field saw it: 1.2 s in each direction, and the AckWait that everybody has.
#[tokio::test]
async fn i13_over_a_slow_path_to_the_broker_every_message_is_handled_and_nothing_is_counted() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..11)).await;
    let path = Proxy::before(ground.nats.url(), 1).await;
    path.delay(Duration::from_millis(1_200));
    let url: NatsUrl = path.url(&ground.nats.url()).parse().unwrap();
    let far = Bus::connect(&url.into(), "far").await.unwrap();
    // A way there and back takes 2.4 s: what waits for a second one is handed out again.
    let settings = ConsumerSettings {
        ack_wait: Duration::from_secs(4),
        ..ConsumerSettings::default()
    };
    let running = run(&far, &ground.db, settings, |_, _| Say::Handled);
    drained(&ground.bus, 0).await;
    publish(&ground.bus, numbers(11..12)).await; // while a pull waits
    drained(&ground.bus, 0).await;
    assert_eq!(running.seen.distinct(), 12);
    assert_eq!(running.seen.times.lock().unwrap().values().max(), Some(&1));
    assert_eq!(ground.dead_letters().await, []);
    assert_eq!(ground.trials().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn i18_a_stop_that_ends_the_handling_counts_nothing() {
    let ground = Ground::new().await;
    publish(&ground.bus, numbers(0..1)).await;
    for _ in 0..5 {
        let running = ground.run(|_, _| Say::Later(Duration::from_millis(100)));
        let handled = async || (running.seen.times("0") > 0).then_some(());
        eventually("the message to come", SOON, handled).await;
        running.stop().await;
        assert_eq!(ground.trials().await, 0);
    }
    let running = ground.run(|_, _| Say::Handled);
    drained(&ground.bus, 0).await;
    assert_eq!(running.seen.times("0"), 1);
    running.stop().await;
    assert_eq!(ground.dead_letters().await, []);
}

#[tokio::test]
async fn i18_stops_while_the_database_is_away_count_nothing() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let url = server.database("kit_bus_away").await;
    let network = Proxy::before(&url, 1).await;
    let ground = Ground::on(&network.url(&url), kit::testing::folder()).await;
    publish(&ground.bus, numbers(0..1)).await;
    network.cut();
    for time in 1..=5 {
        let running = ground.run(|_, _| Say::Handled);
        eventually("the message to be out again", SOON, async || {
            let stream = ground
                .bus
                .jetstream()
                .get_stream(ACCOUNTS.name)
                .await
                .ok()?;
            let reader = stream.consumer_info("test").await.ok()?;
            (reader.delivered.consumer_sequence >= time).then_some(())
        })
        .await;
        running.stop().await;
    }
    network.pass();
    let running = ground.run(|_, _| Say::Handled);
    drained(&ground.bus, 0).await;
    assert_eq!(running.seen.times("0"), 1);
    running.stop().await;
    assert_eq!(ground.dead_letters().await, []);
    assert_eq!(ground.trials().await, 0);
}

#[tokio::test]
async fn i15_a_stream_that_was_deleted_and_made_again_is_read_from_its_start() {
    let ground = Ground::new().await;
    let running = ground.run(|payload, _| match payload {
        "0" | "10" => Say::Never("too_odd"), // they have the same number in their streams
        _ => Say::Handled,
    });
    publish(&ground.bus, numbers(0..10)).await;
    drained(&ground.bus, 0).await;
    ground
        .bus
        .jetstream()
        .delete_stream(ACCOUNTS.name)
        .await
        .unwrap();
    bus::provision(&ground.bus, None).await.unwrap();
    publish(&ground.bus, numbers(10..15)).await;
    eventually("the new stream to be read", SOON, async || {
        (running.seen.distinct() == 15).then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(ground.dead_letters().await.len(), 2);
}

#[tokio::test]
async fn i15_a_broker_that_lost_everything_is_read_again_once_it_is_provisioned() {
    let mut ground = Ground::new().await;
    let running = ground.run(|_, _| Say::Handled);
    publish(&ground.bus, numbers(0..10)).await;
    drained(&ground.bus, 0).await;
    ground.nats.wipe_and_restart().await;
    ground.nats.provision().await;
    publish(&ground.bus, numbers(10..15)).await;
    eventually("the new stream to be read", SOON, async || {
        (running.seen.distinct() == 15).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_forgotten_after_thirty_days_and_not_before() {
    let ground = Ground::new().await;
    let running = ground.run(|_, _| Say::Never("too_odd"));
    let days = |number: u64| Duration::from_secs(number * 24 * 60 * 60);
    publish(&ground.bus, numbers(0..1)).await;
    drained(&ground.bus, 0).await;
    ground.db.clock().advance(days(2));
    publish(&ground.bus, numbers(1..2)).await;
    drained(&ground.bus, 0).await;
    running.stop().await;
    assert_eq!(ground.dead_letters().await.len(), 2);

    ground.db.clock().advance(days(29));
    let running = ground.run(|_, _| Say::Handled);
    eventually("the older one to go", SOON, async || {
        (ground.dead_letters().await.len() == 1).then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(ground.dead_letters().await[0].0, "1");
}

async fn told(bus: &Bus) -> Vec<String> {
    let findings = bus::drift(bus, &[durable()]).await.unwrap();
    findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn drift_is_found_in_all_that_is_described_and_provisioning_mends_the_streams() {
    let ground = Ground::new().await;
    let bus = &ground.bus;
    assert_eq!(
        told(bus).await,
        ["stream ACCOUNTS: durable test is missing"]
    );
    let running = ground.run(|_, _| Say::Handled);
    publish(bus, numbers(0..1)).await;
    drained(bus, 0).await;
    running.stop().await;
    assert_eq!(told(bus).await, Vec::<String>::new());

    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_bytes = 1 << 20;
    config.max_messages = 7;
    config.max_message_size = 100;
    config.max_messages_per_subject = 3;
    config.allow_rollup = true;
    config.duplicate_window = Duration::from_secs(60);
    bus.jetstream().update_stream(config).await.unwrap();
    let altered = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("test".to_owned()),
        filter_subject: "accounts.v1.>".to_owned(),
        max_deliver: 10,
        max_ack_pending: 5,
        ..Default::default()
    };
    stream.create_consumer(altered).await.unwrap();
    bus.jetstream()
        .delete_stream(VERIFICATION.name)
        .await
        .unwrap();
    assert_eq!(
        told(bus).await,
        [
            "stream ACCOUNTS: allow_rollup_hdrs is true, should be unset",
            "stream ACCOUNTS: duplicate_window is 60 s, should be 600 s",
            "stream ACCOUNTS: max_bytes is 1048576, should be 1073741824",
            "stream ACCOUNTS: max_msg_size is 100, should be unset",
            "stream ACCOUNTS: max_msgs is 7, should be unset",
            "stream ACCOUNTS: max_msgs_per_subject is 3, should be unset",
            "stream ACCOUNTS: durable test: max_ack_pending is 5, should be 1000",
            "stream ACCOUNTS: durable test: max_deliver is 10, should be unset",
            "stream VERIFICATION: is missing",
        ]
    );
    let provisioned = async || {
        let all = bus::provision(bus, None).await.unwrap();
        Vec::from_iter(all.into_iter().map(|it| (it.stream, it.change)))
    };
    let done = provisioned().await;
    let corrections = match &done[0] {
        ("ACCOUNTS", Change::Corrected(corrections)) => corrections,
        other => panic!("{other:?}"),
    };
    assert!(
        corrections.contains(&"max_bytes was 1048576, is 1073741824".to_owned()),
        "{corrections:?}"
    );
    assert_eq!(done[1], ("VERIFICATION", Change::Made));
    assert_eq!(
        provisioned().await,
        [
            ("ACCOUNTS", Change::Unchanged),
            ("VERIFICATION", Change::Unchanged)
        ]
    );
    assert_eq!(
        told(bus).await.len(),
        2,
        "a durable is its service's business"
    );
    let running = ground.run(|_, _| Say::Handled);
    eventually("the service to correct it", SOON, async || {
        told(bus).await.is_empty().then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_sealed_stream_is_found_and_the_advice_is_none_that_the_server_refuses() {
    let ground = Ground::new().await;
    let bus = &ground.bus;
    let stream = bus.jetstream().get_stream(VERIFICATION.name).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.sealed = true;
    bus.jetstream().update_stream(config).await.unwrap();
    let findings = bus::drift(bus, &[]).await.unwrap();
    let sealed = findings
        .iter()
        .find(|it| it.what == "sealed is true, should be unset");
    assert!(
        sealed
            .unwrap()
            .advice
            .contains("nats stream rm VERIFICATION")
    );
    bus::provision(bus, None).await.unwrap_err();
}
