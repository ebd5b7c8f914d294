//! What kit's parts cost on a real database (SQLite, which flushes every commit) and a real broker:
//! `make bench` runs this. Each runs on one thread, the broker as a process beside it.
#![expect(
    clippy::unwrap_used,
    reason = "what a benchmark's helper cannot do ends the benchmark"
)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_nats::jetstream::message::PublishMessage;
use divan::{Bencher, counter::ItemsCount};
use futures::future::join_all;
use kit::{
    bus::{
        self, Bus, Consumer, ConsumerSettings, Delivery, Durable, Handler, Reason, Verdict, settle,
    },
    clock::{Clock, Timestamp},
    db::Db,
    group::{Batch, Group},
    outbox::{self, Outbox, Record, Relay, RelaySettings, Room},
    testing::NatsServer,
};
use opentelemetry::Context;
use proto::{accounts::AccountCreated, streams::ACCOUNTS};
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn main() {
    divan::main();
}

/// Commands that come at once, each a row: one commit for all of them.
#[divan::bench(args = [1, 16, 128], sample_size = 1)]
fn group_commit(bencher: Bencher<'_, '_>, commands: usize) {
    let ground = Ground::new();
    let (outbox, _relay) = ground.relay();
    let db = ground.db.clone();
    let commit = move |ids: Batch<Uuid>| commit(db.clone(), outbox.clone(), ids);
    let _entered = ground.runtime.enter();
    let group = Group::start(commands, commands, commit, |_| false);
    bencher
        .counter(ItemsCount::new(commands))
        .with_inputs(|| ground.ids(commands))
        .bench_local_values(|ids| {
            let submitted = join_all(ids.into_iter().map(|id| group.submit(id)));
            let written = ground.runtime.block_on(submitted);
            assert!(written.into_iter().all(|written| written.unwrap()));
        });
}

/// Events that were handed over: the relay publishes them, hears every acknowledgement, marks the
/// rows, and ends (which looks once for rows that nobody handed over).
#[divan::bench(args = [1, 64, 512], sample_size = 1)]
fn relay_window(bencher: Bencher<'_, '_>, events: usize) {
    let ground = Ground::new();
    let stopped = CancellationToken::new();
    stopped.cancel();
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| {
            let (outbox, relay) = ground.relay();
            let written = ground.write(&outbox, events);
            ground.runtime.block_on(written).unwrap();
            relay
        })
        .bench_local_values(|relay| ground.runtime.block_on(relay.run(stopped.clone())));
}

/// Messages that wait in the stream: a consumer attaches, is given them, commits and acknowledges
/// them, and ends.
#[divan::bench(args = [1, 256, 1_024], sample_size = 1, sample_count = 50)]
fn consumer_batch(bencher: Bencher<'_, '_>, messages: usize) {
    let ground = Ground::new();
    bencher
        .counter(ItemsCount::new(messages))
        .with_inputs(|| ground.runtime.block_on(ground.publish(messages)))
        .bench_local_values(|()| ground.runtime.block_on(ground.consume(messages)));
}

struct Ground {
    runtime: Runtime,
    db: Db,
    bus: Bus,
    clock: Clock,
    _nats: NatsServer,
    _folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (folder, clock) = (kit::testing::folder(), Clock::default());
        let url = format!("sqlite:{}", folder.path().join("bench.db").display());
        let (db, nats, bus) = runtime.block_on(async {
            let url = url.parse().unwrap();
            let db = Db::connect(&url, clock.clone()).await.unwrap();
            db.migrate::<Migrator>().await.unwrap();
            let nats = NatsServer::start().await;
            let bus = nats.provision().await;
            (db, nats, bus)
        });
        Self {
            runtime,
            db,
            bus,
            clock,
            _nats: nats,
            _folder: folder,
        }
    }

    fn ids(&self, number: usize) -> Vec<Uuid> {
        let ids = std::iter::repeat_with(|| self.clock.uuid_v7());
        ids.take(number).collect()
    }

    fn relay(&self) -> (Outbox, Relay) {
        Relay::new(self.db.clone(), self.bus.clone(), RelaySettings::default())
    }

    /// Writes events and hands them over.
    async fn write(&self, outbox: &Outbox, events: usize) -> Result<(), DbErr> {
        let room = outbox.reserve(events);
        let tx = self.db.write("bench").await?;
        let records = records(&self.ids(events), tx.now());
        let handovers = outbox.insert(&tx, records, room).await?;
        tx.commit().await?;
        handovers.into_iter().for_each(outbox::Handover::deliver);
        Ok(())
    }

    async fn publish(&self, messages: usize) {
        let mut acknowledged = Vec::with_capacity(messages);
        for _ in 0..messages {
            let message = PublishMessage::build().payload(vec![7; 200].into());
            let sent = self
                .bus
                .jetstream()
                .send_publish("accounts.v1.bench", message);
            acknowledged.push(sent.await.unwrap().into_future());
        }
        for stored in join_all(acknowledged).await {
            stored.unwrap();
        }
    }

    async fn consume(&self, messages: usize) {
        let (db, stop) = (self.db.clone(), CancellationToken::new());
        let (left, all_handled) = (Arc::new(AtomicUsize::new(messages)), stop.clone());
        let handler = Handler::new(move |batch: Arc<Vec<Delivery>>| {
            let (db, left, stop) = (db.clone(), Arc::clone(&left), all_handled.clone());
            async move {
                let tx = db.write("bench").await.unwrap();
                let found = batch
                    .iter()
                    .map(|delivery| (delivery, Ok::<(), Reason>(())));
                let settled = settle(tx, found).await.unwrap();
                if left.fetch_sub(batch.len(), Ordering::Relaxed) == batch.len() {
                    stop.cancel(); // what was settled is acknowledged all the same
                }
                settled.into_iter().map(Verdict::Settled).collect()
            }
        });
        let durable = Durable {
            stream: ACCOUNTS,
            name: "bench".to_owned(),
            filter: "accounts.v1.>".to_owned(),
        };
        let settings = ConsumerSettings::default();
        let consumer = Consumer::new(self.bus.clone(), self.db.clone(), durable, settings);
        consumer.run(handler, stop).await;
    }
}

async fn commit(db: Db, outbox: Outbox, ids: Batch<Uuid>) -> Result<Vec<bool>, DbErr> {
    let tx = db.write("bench").await?;
    let records = records(&ids, tx.now());
    let free = outbox.insert(&tx, records, Room::default()).await?;
    drop(free); // for nobody publishes them here
    tx.commit().await?;
    Ok(vec![true; ids.len()])
}

fn records(ids: &[Uuid], at: Timestamp) -> Vec<Record> {
    let record = |id: &Uuid| {
        let event = AccountCreated {
            account_id: id.to_string(),
            email: format!("{id}@example.com"),
            display_name: "Ada Lovelace".to_owned(),
            locale: "en".to_owned(),
            ..AccountCreated::default()
        };
        Record::new(*id, *id, &event, at, &Context::new())
    };
    ids.iter().map(record).collect()
}

/// The outbox, trials and dead letters.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateTables)]
    }
}

struct CreateTables;

impl MigrationName for CreateTables {
    fn name(&self) -> &'static str {
        "m0001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox::create_table(manager).await?;
        bus::create_tables(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        bus::drop_tables(manager).await?;
        outbox::drop_table(manager).await
    }
}
