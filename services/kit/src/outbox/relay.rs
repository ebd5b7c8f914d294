//! The relay: publishes a window of rows at once, waits for every acknowledgement, and marks them
//! in one statement (`marks`); while a broker keeps it waiting, what is known is marked (`attend`).
//! Two relays may publish the same row; the message id and the reader's natural key make that
//! harmless.

use std::time::Duration;

use sea_orm::{DbBackend, DbErr};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    attend::{Underway, attend},
    marks::{LONGEST_WAIT, Marks},
    metrics::{RelayMetrics, count},
    publish::{Heard, publish},
    queue::Outbox,
    record::Outgoing,
    table,
};
use crate::{
    bus::Bus,
    db::{Db, StoreError},
    fail_point, repeat,
    serve::beat,
};

/// The relay's deadlines and sizes. Configuration, so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// How long a claim holds.
    pub lease: Duration,
    /// How often the table is polled for rows that nobody handed over.
    pub tick: Duration,
    /// Most rows in the in-memory queue.
    pub queue: usize,
    /// Most rows that are published together.
    pub window: usize,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            tick: Duration::from_secs(1),
            queue: 8_192,
            window: 512,
        }
    }
}

/// How long published rows stay.
const HISTORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often older ones are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(600);
/// Most rows that are deleted in one transaction, so that nobody waits for it.
const PURGE_AT_ONCE: u64 = 1_000;
/// How long a stop may take: what is left then is the next process's.
const LAST_PASS: Duration = Duration::from_millis(1_500);

/// One service's relay.
#[derive(Debug)]
pub struct Relay {
    db: Db,
    bus: Bus,
    settings: RelaySettings,
    queue: mpsc::Receiver<Outgoing>,
    /// Of what the broker has acknowledged.
    marks: Marks,
    /// The table may hold rows that are due: the last claim was full.
    more_due: bool,
    /// The last claim failed, which was told.
    is_failing: bool,
    metrics: RelayMetrics,
}

impl Relay {
    /// A relay, and the outbox that feeds it. Nothing is published until it runs.
    pub fn new(db: Db, bus: Bus, settings: RelaySettings) -> (Outbox, Self) {
        let (outbox, queue) = Outbox::new(settings.queue, settings.lease);
        let metrics = RelayMetrics::new();
        let relay = Self {
            db,
            bus,
            marks: Marks::new(settings.lease),
            settings,
            queue,
            more_due: false,
            is_failing: false,
            metrics,
        };
        (outbox, relay)
    }

    /// Publishes until `stop`, then once more what is left.
    pub async fn run(self, stop: CancellationToken) {
        // Beside it counting and purging: neither waits for a backlog, nor a backlog for them.
        let (db, metrics) = (self.db.clone(), self.metrics.clone());
        let bus = self.bus.clone();
        let counting = count(&db, &bus, &metrics, self.settings.tick, &stop);
        let purging = repeat::every(
            PURGE_EVERY,
            "The outbox's history was not purged",
            stop.clone(),
            || purge(&db),
        );
        let publishing = self.publish_until(&stop);
        let late = async {
            stop.cancelled().await;
            sleep(LAST_PASS).await;
        };
        let publishing = async {
            tokio::select! {
                () = publishing => {}
                // A window waits for its acknowledgements longer than a stop may take. What is cut
                // here keeps its claim, which the lease or the next start ends.
                () = late => tracing::warn!(
                    "Events are left in the outbox; they are published after the next start."
                ),
            }
        };
        tokio::join!(publishing, counting, purging);
    }

    async fn publish_until(mut self, stop: &CancellationToken) {
        self.end_stale_claims().await;
        let mut ticks = interval(self.settings.tick);
        // A window may take longer than a tick. The ticks that it missed would find nothing more
        // than one does.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            beat();
            let mut window = Vec::new();
            // Each arm runs to its end before the next one is chosen, so that there is one window
            // under way and no row is published twice by one relay. `select!` takes a ready arm at
            // random: a full queue cannot keep the table's rows waiting for ever, nor the other way
            // round. When every `Outbox` is gone, `recv_many` answers 0 at once, which publishes
            // nothing; that happens only while the service stops.
            tokio::select! {
                _ = self.queue.recv_many(&mut window, self.settings.window) => {
                    self.publish(window).await;
                }
                _ = ticks.tick() => {
                    // First: what becomes due by it goes with the same tick.
                    self.hurry_what_waits_too_long().await;
                    self.publish_due().await;
                }
                () = std::future::ready(()), if self.more_due => self.publish_due().await,
                () = sleep_until(self.marks.due_at()), if !self.marks.is_empty() => {
                    self.marks.write(&self.db, Vec::new()).await;
                }
                () = stop.cancelled() => {}
            }
        }
        self.last_pass().await;
    }

    async fn end_stale_claims(&self) {
        // With SQLite this process owns the database alone, so that a claim which nothing in memory
        // stands for is that of a process that died, or of a caller that went away before it handed
        // its event over. On Postgres it may be another replica's, and only its lease ends it.
        if self.db.backend() != DbBackend::Sqlite {
            return;
        }
        let ended = async {
            let tx = self.db.write("end stale claims on events").await?;
            table::end_stale_claims(&tx).await?;
            tx.commit().await
        };
        if let Err(error) = ended.await {
            tracing::warn!(%error, "Old claims were not ended; their events wait for the lease.");
        }
    }

    async fn last_pass(&mut self) {
        // Whoever writes from now on finds no room, and its rows are born free. Room that was given
        // before is waited for: `recv_many` answers 0 once the last of it is used or given back.
        self.queue.close();
        self.marks.wait_no_more();
        if !self.marks.is_empty() {
            self.marks.write(&self.db, Vec::new()).await;
        }
        let mut window = Vec::new();
        while self
            .queue
            .recv_many(&mut window, self.settings.window)
            .await
            > 0
        {
            self.publish(std::mem::take(&mut window)).await;
        }
        self.end_stale_claims().await; // nothing is in memory any more
        self.publish_due().await;
        while self.more_due {
            self.publish_due().await;
        }
    }

    /// Claims and publishes one window of what is due in the table; `more_due` tells whether there
    /// may be another.
    async fn publish_due(&mut self) {
        self.more_due = false;
        // A claim would only be let go of again: two writes for nothing at each tick of an outage.
        if !self.bus.is_connected() {
            return;
        }
        let claimed = self.claim().await.map_err(StoreError::from);
        let was_failing = std::mem::replace(&mut self.is_failing, claimed.is_err());
        match claimed {
            Ok(rows) => {
                // Less than a window: what is left is not due, or another relay's.
                self.more_due = rows.len() == self.settings.window;
                self.publish(rows).await;
            }
            // Once, and not at each poll of an outage.
            Err(error) if !was_failing => {
                tracing::warn!(%error, "The outbox cannot be read; it is tried again until it can.");
            }
            Err(_) => {}
        }
    }

    async fn hurry_what_waits_too_long(&self) {
        let hurried = async {
            let reader = self.db.reader();
            let now = self.db.now(reader).await?;
            // After the clock was set back, rows would wait for it to come back to where it was. By
            // less than `LONGEST_WAIT` they do: no row waits more than twice as long for that.
            if !table::is_any_due_after(reader, now + LONGEST_WAIT * 2).await? {
                return Ok(0); // as nearly always: a tick costs no write transaction
            }
            let tx = self.db.write("hurry events").await?;
            let hurried = table::hurry(&tx, LONGEST_WAIT * 2).await?;
            tx.commit().await?;
            Ok::<_, DbErr>(hurried)
        };
        match hurried.await {
            Ok(0) => {}
            Ok(events) => {
                tracing::warn!(events, "The database's clock was set back; events go now.");
            }
            Err(error) => tracing::debug!(%error, "The outbox cannot be read."),
        }
    }

    async fn claim(&self) -> Result<Vec<Outgoing>, DbErr> {
        let (reader, lease) = (self.db.reader(), self.settings.lease);
        if !table::is_any_due(reader, self.db.now(reader).await?, lease).await? {
            return Ok(Vec::new());
        }
        let tx = self.db.write("claim events").await?;
        let most = self.settings.window as u64;
        let rows = table::claim(&tx, lease, most).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Publishes claimed rows and writes down what became of each.
    async fn publish(&mut self, rows: Vec<Outgoing>) {
        if rows.is_empty() {
            return;
        }
        fail_point!("relay/taken");
        if !self.bus.is_connected() {
            // No attempt was made and none is counted.
            return self.let_go(&rows).await;
        }
        let heard = Heard::default();
        // This machine's clock: it is for the spans' lag alone, and no rule depends on it.
        let publishing = publish(&self.bus, self.db.clock().now(), &rows, &heard);
        let window = Underway {
            db: &self.db,
            lease: self.settings.lease,
            rows: &rows,
            heard: &heard,
            marks: &mut self.marks,
        };
        let failed = attend(window, publishing).await;
        beat();
        fail_point!("relay/acknowledged");
        self.marks.add(heard.take());
        if !failed.is_empty() || self.marks.are_due(self.settings.window) {
            self.marks.write(&self.db, failed).await;
        }
    }

    async fn let_go(&self, rows: &[Outgoing]) {
        let let_go = async {
            let tx = self.db.write("let go of events").await?;
            table::set_claims(&tx, tx.now(), rows).await?;
            tx.commit().await
        };
        if let Err(error) = let_go.await {
            tracing::warn!(%error, "Claims were not let go of; their events wait for the lease.");
        }
    }
}

async fn purge(db: &Db) -> Result<(), StoreError> {
    loop {
        let tx = db.write("purge published events").await?;
        let purged = table::purge(&tx, tx.now() - HISTORY, PURGE_AT_ONCE).await?;
        tx.commit().await?;
        if purged < PURGE_AT_ONCE {
            return Ok(());
        }
        // Bit by bit: sign-ups come in between, and no transaction nears its limit.
        tokio::task::yield_now().await;
    }
}
