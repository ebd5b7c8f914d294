//! What became of published rows, until it is written down. Marks that follow one another soon are
//! written together: at some hundred events a second, a transaction each would cost as much as the
//! sign-ups themselves.

use std::time::Duration;

use sea_orm::DbErr;
use tokio::time::Instant;
use uuid::Uuid;

use super::{record::Outgoing, table};
use crate::{clock::Timestamp, company::Company, db::Db, random};

/// Longest wait between two attempts.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Acknowledged rows that are not marked yet.
#[derive(Debug)]
pub(super) struct Marks {
    acked: Vec<(Uuid, i64)>,
    /// Nobody else claims the rows while they wait for it. A crash has them published once more, as it
    /// would without, and without effect.
    company: Company,
}

impl Marks {
    /// For rows that are claimed for `lease`.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            acked: Vec::new(),
            company: Company::new(lease),
        }
    }

    pub(super) fn add(&mut self, acked: Vec<(Uuid, i64)>) {
        self.acked.extend(acked);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.acked.is_empty()
    }

    /// From now on nothing comes that could go along.
    pub(super) fn wait_no_more(&mut self) {
        self.company.wait_no_more();
    }

    /// When they are to be written: those that come alone, at once.
    pub(super) fn due_at(&self) -> Instant {
        self.company.due_at()
    }

    /// Whether they are to be written now, by time or because there are `many`.
    pub(super) fn are_due(&self, many: usize) -> bool {
        self.acked.len() >= many || self.due_at() <= Instant::now()
    }

    /// Writes them, and which rows failed. What cannot be written is forgotten: its claim runs out.
    pub(super) async fn write(&mut self, db: &Db, failed: Vec<Outgoing>) {
        if let Err(error) = self.try_to_write(db, failed).await {
            tracing::warn!(
                %error,
                "What was published is not marked yet; it will be published again, without effect."
            );
        }
    }

    /// In one transaction: a flush of the disk for all.
    async fn try_to_write(&mut self, db: &Db, failed: Vec<Outgoing>) -> Result<(), DbErr> {
        self.company.part();
        let acked = std::mem::take(&mut self.acked);
        let tx = db.write("mark published events").await?;
        let published = acked.iter().map(|(id, _)| *id);
        // Before either update, in one order: another relay may be marking some of the same rows.
        table::lock(&tx, published.chain(failed.iter().map(|row| row.id))).await?;
        table::mark_published(&tx, &acked).await?;
        let mut later = Vec::with_capacity(failed.len());
        for row in failed {
            later.push((next_attempt(tx.now(), row.attempts), row));
        }
        table::mark_failed(&tx, &later).await?;
        tx.commit().await
    }
}

fn next_attempt(now: Timestamp, failures: i32) -> Timestamp {
    let doubled = Duration::from_secs(1 << failures.clamp(0, 5)).min(LONGEST_WAIT);
    // Half of it at random, so that rows that failed together do not come back together.
    now + doubled.mul_f64(0.5 + random::fraction() / 2.0)
}
