//! The relay: publishes a window of rows at once, waits for every acknowledgement, and marks them in one statement.
//! Two relays may publish the same row; the message id and the reader's natural key make that harmless.

use std::time::Duration;

use sea_orm::{DbBackend, DbErr};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Outbox, Outgoing, backlog::Backlog, publish::publish, table};
use crate::{
    bus::Bus,
    clock::Timestamp,
    db::{Db, within_limit},
    random,
};

/// The relay's deadlines and sizes. Configuration, so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim holds.
    pub lease: Duration,
    /// How often the table is looked at for rows that nobody handed over.
    pub tick: Duration,
    /// Most rows in the in-memory queue.
    pub queue: usize,
    /// Most rows that are published together.
    pub window: usize,
}

impl Default for Settings {
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
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the last pass may take: what is left then is the next process's.
const LAST_PASS: Duration = Duration::from_millis(1_500);

/// One service's relay.
#[derive(Debug)]
pub struct Relay {
    db: Db,
    bus: Bus,
    settings: Settings,
    queue: mpsc::Receiver<Outgoing>,
    backlog: Backlog,
}

impl Relay {
    /// A relay, and the outbox that feeds it. Nothing is published until it runs.
    pub fn new(db: Db, bus: Bus, settings: Settings) -> (Outbox, Self) {
        let (sender, queue) = mpsc::channel(settings.queue);
        (
            Outbox {
                queue: sender,
                lease: settings.lease,
            },
            Self {
                db,
                bus,
                settings,
                queue,
                backlog: Backlog::measured(),
            },
        )
    }

    /// Publishes until `stop`, then once more what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        self.end_claims_of_the_dead().await;
        let mut ticks = interval(self.settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut purges = interval(PURGE_EVERY);
        while !stop.is_cancelled() {
            let mut window = Vec::new();
            tokio::select! {
                _ = self.queue.recv_many(&mut window, self.settings.window) => self.publish(window).await,
                _ = ticks.tick() => self.publish_due().await,
                _ = purges.tick() => self.purge().await,
                () = stop.cancelled() => {}
            }
        }
        if timeout(LAST_PASS, self.last_pass()).await.is_err() {
            tracing::warn!(
                "Events are left in the outbox; they are published after the next start."
            );
        }
    }

    /// With SQLite this process owns the database alone, so that a claim which nothing in memory stands for is that of
    /// a process that died, or of a caller that went away before it handed its event over.
    async fn end_claims_of_the_dead(&self) {
        if self.db.backend() != DbBackend::Sqlite {
            return;
        }
        let ended = async {
            let tx = self.db.begin().await?;
            let now = self.db.now(&tx).await?;
            table::end_all_claims(&tx, now).await?;
            tx.commit().await
        };
        if let Err(error) = within_limit(ended).await {
            tracing::warn!(error = %error, "Old claims were not ended; their events wait for the lease.");
        }
    }

    async fn last_pass(&mut self) {
        self.queue.close();
        let mut window = Vec::new();
        while self
            .queue
            .recv_many(&mut window, self.settings.window)
            .await
            > 0
        {
            self.publish(std::mem::take(&mut window)).await;
        }
        self.end_claims_of_the_dead().await; // nothing is in memory any more
        self.publish_due().await;
    }

    /// Claims and publishes what waits in the table, window by window.
    async fn publish_due(&self) {
        let Ok((number, oldest)) = within_limit(table::pending(self.db.reader())).await else {
            return;
        };
        let age = oldest.map_or(Duration::ZERO, |oldest| self.db.clock().now().since(oldest));
        self.backlog.set(number, age);
        while number > 0 && self.bus.is_connected() {
            match within_limit(self.claim()).await {
                Ok(rows) if rows.is_empty() => return,
                Ok(rows) => {
                    let whole = rows.len() == self.settings.window;
                    self.publish(rows).await;
                    if !whole {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "The outbox cannot be read; the next look is in a moment.");
                    return;
                }
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Outgoing>, DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let rows = table::claim(
            &tx,
            now,
            now + self.settings.lease,
            self.settings.window as u64,
        )
        .await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Publishes claimed rows and writes down what became of each.
    async fn publish(&self, rows: Vec<Outgoing>) {
        if rows.is_empty() {
            return;
        }
        let settled = if self.bus.is_connected() {
            let (acked, failed) = self
                .renewing(&rows, publish(&self.bus, self.db.clock().now(), &rows))
                .await;
            within_limit(self.settle(acked, failed)).await
        } else {
            within_limit(self.let_go(&rows)).await // no attempt was made and none is counted
        };
        if let Err(error) = settled {
            tracing::warn!(error = %error, "What was published is not marked yet; it will be published again, without effect.");
        }
    }

    async fn settle(&self, acked: Vec<(Uuid, i64)>, failed: Vec<Outgoing>) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        table::mark_published(&tx, now, &acked).await?;
        let later = |row: Outgoing| (next_attempt(now, row.attempts), row);
        let failed: Vec<_> = failed.into_iter().map(later).collect();
        table::mark_failed(&tx, now, &failed).await?;
        tx.commit().await
    }

    async fn let_go(&self, rows: &[Outgoing]) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        table::set_claims(&tx, now, rows).await?;
        tx.commit().await
    }

    /// Awaits `work` and renews the rows' claims meanwhile, so that no other relay takes them for abandoned.
    async fn renewing<T>(&self, rows: &[Outgoing], work: impl Future<Output = T>) -> T {
        let period = self.settings.lease / 3;
        let mut ticks = interval_at(Instant::now() + period, period);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => if let Err(error) = within_limit(self.renew(rows)).await {
                    tracing::debug!(error = %error, "Claims were not renewed; the next tick tries again.");
                }
            }
        }
    }

    async fn renew(&self, rows: &[Outgoing]) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let until = self.db.now(&tx).await? + self.settings.lease;
        table::set_claims(&tx, until, rows).await?;
        tx.commit().await
    }

    async fn purge(&self) {
        let some = async || {
            let tx = self.db.begin().await?;
            let now = self.db.now(&tx).await?;
            let purged = table::purge(&tx, now - HISTORY, PURGE_AT_ONCE).await?;
            tx.commit().await?;
            Ok(purged)
        };
        loop {
            match within_limit(some()).await {
                Ok(purged) if purged < PURGE_AT_ONCE => return,
                Ok(_) => tokio::task::yield_now().await, // sign-ups come in between
                Err(error) => {
                    tracing::debug!(error = %error, "The outbox's history was not purged; the next round goes on.");
                    return;
                }
            }
        }
    }
}

/// Doubles from one second, half of it at random, so that rows that failed together do not come back together.
fn next_attempt(now: Timestamp, failures: i32) -> Timestamp {
    let doubled = Duration::from_secs(1 << failures.clamp(0, 5)).min(LONGEST_WAIT);
    now + doubled.mul_f64(0.5 + random::fraction() / 2.0)
}
