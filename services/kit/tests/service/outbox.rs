//! The outbox on a real broker: rows that commit are published, whatever dies in between.

mod silence;

use std::{sync::Arc, time::Duration};

use kit::{
    bus::Bus,
    clock::{Clock, Timestamp},
    db::{DatabaseUrl, Db},
    outbox::{self, Outbox, Record, Relay, RelaySettings},
    testing::{NatsServer, Postgres, SOON, eventually},
};
use opentelemetry::Context;
use proto::{accounts::AccountCreated, events::Event as _, streams::ACCOUNTS};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One migration: the outbox.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateOutbox)]
    }
}

struct CreateOutbox;

impl MigrationName for CreateOutbox {
    fn name(&self) -> &'static str {
        "m0001_outbox"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateOutbox {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox::create_table(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox::drop_table(manager).await
    }
}

/// A writer with its relay. The relay runs in a task, as in a service.
struct Writer {
    db: Db,
    outbox: Outbox,
    stop: CancellationToken,
    relay: JoinHandle<()>,
}

impl Writer {
    async fn start(db: &Db, bus: &Bus, settings: RelaySettings) -> Self {
        let (outbox, relay) = Relay::new(db.clone(), bus.clone(), settings);
        let stop = CancellationToken::new();
        Self {
            db: db.clone(),
            outbox,
            relay: tokio::spawn(relay.run(stop.clone())),
            stop,
        }
    }

    /// Writes events in one transaction; hands them over or, as if the process died after the
    /// commit, does not.
    async fn write(&self, ids: &[Uuid], handed_over: bool) {
        let room = self.outbox.reserve(ids.len());
        let tx = self.db.write("test").await.unwrap();
        let now = tx.now();
        let records = ids.iter().map(|id| record(*id, now)).collect();
        let handovers = self.outbox.insert(&tx, records, room).await.unwrap();
        tx.commit().await.unwrap();
        if handed_over {
            handovers.into_iter().for_each(outbox::Handover::deliver);
        }
    }

    /// Writes an event whose row is born unclaimed, as when the queue is full.
    async fn write_free(&self) -> Uuid {
        let (id, room) = (ids(1)[0], self.outbox.reserve(0));
        let tx = self.db.write("test").await.unwrap();
        let records = vec![record(id, tx.now())];
        self.outbox.insert(&tx, records, room).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn stop(self) {
        self.stop.cancel();
        self.relay.await.unwrap();
    }
}

fn record(id: Uuid, at: Timestamp) -> Record {
    let event = AccountCreated {
        account_id: id.to_string(),
        ..AccountCreated::default()
    };
    Record::new(id, id, &event, at, &Context::new())
}

fn ids(number: usize) -> Vec<Uuid> {
    let clock = Clock::default();
    std::iter::repeat_with(|| clock.uuid_v7())
        .take(number)
        .collect()
}

async fn sqlite(folder: &tempfile::TempDir, clock: Clock) -> Db {
    let url: DatabaseUrl = format!("sqlite:{}", folder.path().join("test.db").display())
        .parse()
        .unwrap();
    let db = Db::connect(&url, clock).await.unwrap();
    db.migrate::<Migrator>().await.unwrap();
    db
}

async fn postgres(name: &str) -> Option<Db> {
    let url = Postgres::shared().await?.database(name).await;
    let db = Db::connect(&url.parse().unwrap(), Clock::default()).await;
    let db = db.unwrap();
    db.migrate::<Migrator>().await.unwrap();
    Some(db)
}

async fn stored(bus: &Bus) -> u64 {
    bus.jetstream()
        .get_stream(ACCOUNTS.name)
        .await
        .unwrap()
        .cached_info()
        .state
        .messages
}

async fn unpublished(db: &Db) -> i64 {
    let sql = "SELECT count(*) FROM outbox WHERE published_at IS NULL OR stream_sequence IS NULL";
    let row = db
        .reader()
        .query_one_raw(Statement::from_string(db.backend(), sql))
        .await
        .unwrap()
        .unwrap();
    row.try_get_by_index(0).unwrap()
}

/// While the relay runs: its last pass would also publish what it is not to see before, and takes
/// no longer than a stop may.
async fn all_published(db: &Db) {
    let all = async || (unpublished(db).await == 0).then_some(());
    eventually("every row to be published", SOON, all).await;
}

/// Waits until the relay has published a first row: from its start it has let go of what an earlier
/// process left, and what comes from now on is not taken for that.
async fn at_work(writer: &Writer) {
    writer.write(&ids(1), true).await;
    all_published(&writer.db).await;
}

async fn until_stored(db: &Db, id: Uuid) {
    let sql = format!(
        "SELECT count(*) FROM outbox WHERE stream_sequence > 0 AND id = x'{}'",
        id.simple()
    );
    let is_stored = async || {
        let row = Statement::from_string(db.backend(), sql.clone());
        let row = db.reader().query_one_raw(row).await.unwrap().unwrap();
        (row.try_get_by_index::<i64>(0).unwrap() == 1).then_some(())
    };
    eventually("the row to be published", SOON, is_stored).await;
}

#[tokio::test]
async fn what_is_handed_over_is_published_without_a_look_at_the_table() {
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let (db, bus) = (
        sqlite(&folder, Clock::default()).await,
        nats.provision().await,
    );
    // A tick that never comes: what arrives came by the hot path.
    let writer = Writer::start(
        &db,
        &bus,
        RelaySettings {
            tick: Duration::from_secs(3_600),
            ..RelaySettings::default()
        },
    )
    .await;
    writer.write(&ids(100), true).await;
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 100);
    writer.stop().await;
}

#[tokio::test]
async fn i03_a_row_whose_writer_died_after_the_commit_is_published_by_another_relay() {
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let clock = Clock::default();
    let (db, bus) = (sqlite(&folder, clock.clone()).await, nats.provision().await);
    let (lease, last) = (Duration::from_secs(3_600), Duration::from_secs(30));
    let settings = RelaySettings {
        tick: Duration::from_millis(20),
        lease,
        ..RelaySettings::default()
    };
    let writer = Writer::start(&db, &bus, settings).await;
    at_work(&writer).await;
    writer.write(&ids(3), false).await;
    // Looked for in vain: what is due is published by the same looks.
    clock.advance(lease - last);
    let free = writer.write_free().await;
    until_stored(&db, free).await;
    assert_eq!(unpublished(&db).await, 3, "claimed until the lease is over");
    clock.advance(last);
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 5);
    writer.stop().await;
}

#[tokio::test]
async fn i03_events_wait_in_the_table_while_the_broker_is_away() {
    let (mut nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let (db, bus) = (
        sqlite(&folder, Clock::default()).await,
        nats.provision().await,
    );
    let settings = RelaySettings {
        tick: Duration::from_millis(20),
        queue: 10,
        ..RelaySettings::default()
    };
    let writer = Writer::start(&db, &bus, settings).await;
    nats.stop();
    let away = async || (!bus.is_connected()).then_some(());
    eventually("the broker to be seen away", SOON, away).await;
    writer.write(&ids(50), true).await;
    assert_eq!(unpublished(&db).await, 50);
    nats.restart().await;
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 50);
    writer.stop().await;
}

#[tokio::test]
async fn i18_a_stop_publishes_what_was_handed_over() {
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let (db, bus) = (
        sqlite(&folder, Clock::default()).await,
        nats.provision().await,
    );
    let writer = Writer::start(&db, &bus, RelaySettings::default()).await;
    writer.write(&ids(500), true).await;
    writer.stop().await;
    assert_eq!(unpublished(&db).await, 0);
    assert_eq!(stored(&bus).await, 500);
}

#[tokio::test]
async fn i14_a_row_that_is_published_twice_is_stored_once() {
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let (db, bus) = (
        sqlite(&folder, Clock::default()).await,
        nats.provision().await,
    );
    let writer = Writer::start(&db, &bus, RelaySettings::default()).await;
    writer.write(&ids(10), true).await;
    writer.stop().await;
    assert_eq!(unpublished(&db).await, 0);
    // As if the process had died between the acknowledgement and the mark.
    let tx = db.write("test").await.unwrap();
    tx.execute_unprepared("UPDATE outbox SET published_at = NULL, claimed_until = 0")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let writer = Writer::start(&db, &bus, RelaySettings::default()).await;
    writer.stop().await;
    assert_eq!(unpublished(&db).await, 0);
    assert_eq!(stored(&bus).await, 10);
}

#[tokio::test]
async fn i19_the_relays_looks_at_the_table_read_neither_the_history_nor_what_is_to_wait() {
    let folder = kit::testing::folder();
    let db = sqlite(&folder, Clock::default()).await;
    let mut plans = Vec::new();
    for mut look in outbox::looks(db.backend()) {
        look.sql = format!("EXPLAIN QUERY PLAN {}", look.sql);
        // All of its steps: a sort would be one of its own.
        for row in db.reader().query_all_raw(look).await.unwrap() {
            plans.push(row.try_get::<String>("", "detail").unwrap());
        }
    }
    let due = "SEARCH outbox USING INDEX outbox_due (next_at<?)";
    // That index holds only what waits, and the count has an end.
    let oldest = "SCAN outbox USING INDEX outbox_waiting";
    assert_eq!(plans, [due, due, oldest]);
}

/// Rows that were committed long ago and are due, more than are published in a moment.
async fn backlog(db: &Db, rows: u32) {
    let tx = db.write("test").await.unwrap();
    let sql = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
         INSERT INTO outbox SELECT randomblob(16), randomblob(16), '{}', '{{}}', x'', 1, 0, 1, 1, 0, NULL, NULL
         FROM n",
        AccountCreated::SUBJECT
    );
    tx.execute_unprepared(&sql).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn while_a_backlog_is_published_new_rows_go_their_way_and_a_stop_is_heard() {
    const ROWS: u32 = 150_000;
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let (db, bus) = (
        sqlite(&folder, Clock::default()).await,
        nats.provision().await,
    );
    backlog(&db, ROWS).await;
    let writer = Writer::start(&db, &bus, RelaySettings::default()).await;
    let published = async || i64::from(ROWS) - unpublished(&db).await;
    let begun = async || (published().await > 0).then_some(());
    eventually("the backlog to be taken up", SOON, begun).await;
    let new = ids(1);
    writer.write(&new, true).await;
    until_stored(&db, new[0]).await;
    let left = unpublished(&db).await;
    assert!(
        left > i64::from(ROWS) / 2,
        "{left} rows are left: it waited for the others"
    );

    let asked = std::time::Instant::now();
    writer.stop().await;
    let took = asked.elapsed();
    // Its last pass, 1.5 s, which so much to do uses up, and some time for the machine.
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(unpublished(&db).await > 0, "there was more to do");
}

#[tokio::test]
async fn i03_after_the_clock_was_set_back_neither_a_dead_claim_nor_a_failed_attempt_waits_for_it() {
    let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
    let clock = Clock::default();
    let (db, bus) = (sqlite(&folder, clock.clone()).await, nats.provision().await);
    let settings = RelaySettings {
        tick: Duration::from_millis(20),
        ..RelaySettings::default()
    };
    let writer = Writer::start(&db, &bus, settings).await;
    at_work(&writer).await;
    clock.advance(Duration::from_secs(3_600));
    writer.write(&ids(3), false).await; // claimed by a writer that died
    let failed = ids(1);
    writer.write(&failed, false).await;
    let tx = db.write("test").await.unwrap();
    let sql = format!(
        "UPDATE outbox SET next_at = {}, claimed_until = 0 WHERE id = x'{}'",
        (tx.now() + Duration::from_secs(5)).0,
        failed[0].simple()
    );
    tx.execute_unprepared(&sql).await.unwrap();
    tx.commit().await.unwrap();
    clock.rewind(Duration::from_secs(3_600));
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 5);
    writer.stop().await;
}

#[tokio::test]
async fn a_relay_on_postgres_passes_over_rows_that_another_one_is_claiming() {
    let Some(db) = postgres("outbox_claiming").await else {
        return;
    };
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    let settings = RelaySettings {
        tick: Duration::from_millis(20),
        ..RelaySettings::default()
    };
    let (writer, lease) = (
        Writer::start(&db, &bus, settings.clone()).await,
        settings.lease,
    );
    writer.write(&ids(100), false).await;
    // In the middle of its claim, or dead in it.
    let other = db.write("test").await.unwrap();
    let claiming = "SELECT id FROM outbox ORDER BY next_at, id LIMIT 40 FOR UPDATE";
    other.execute_unprepared(claiming).await.unwrap();
    db.clock().advance(lease);
    let others = async || (unpublished(&db).await == 40).then_some(());
    eventually("all others to be published meanwhile", lease / 2, others).await;
    other.rollback().await;
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 100);
    writer.stop().await;
}

#[tokio::test]
async fn two_relays_on_postgres_share_the_rows_and_publish_each_once() {
    let Some(db) = postgres("outbox").await else {
        return;
    };
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    let settings = RelaySettings {
        tick: Duration::from_millis(20),
        window: 16,
        queue: 1,
        ..RelaySettings::default()
    };
    let writers = [
        Writer::start(&db, &bus, settings.clone()).await,
        Writer::start(&db, &bus, settings).await,
    ];
    let all = Arc::new(ids(400));
    for part in all.chunks(50) {
        writers[0].write(part, true).await; // room for one in the queue: the others are for whoever claims them
    }
    all_published(&db).await;
    assert_eq!(stored(&bus).await, 400);
    for writer in writers {
        writer.stop().await;
    }
}

#[tokio::test]
async fn five_migrators_at_once_apply_each_step_once() {
    let Some(postgres) = Postgres::shared().await else {
        return;
    };
    let url: DatabaseUrl = postgres.database("migrations").await.parse().unwrap();
    let migrators: Vec<_> = (0..5)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let db = Db::connect(&url, Clock::default()).await.unwrap();
                db.migrate::<Migrator>().await.unwrap();
                db.pending_migrations::<Migrator>().await.unwrap()
            })
        })
        .collect();
    for migrator in migrators {
        assert_eq!(migrator.await.unwrap(), Vec::<String>::new());
    }
}
