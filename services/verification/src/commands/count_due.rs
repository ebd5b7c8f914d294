//! Counts the mails that are due, for `metrics`.

use std::time::Duration;

use kit::db::{Db, StoreError};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::store;

const INTERVAL: Duration = Duration::from_secs(10);

/// Beyond this a count would take longer the more there are, and say nothing new.
const COUNTED: u64 = 10_000;

/// How many mails are due, and how long the one that waits longest has been.
async fn count_due(db: &Db) -> Result<(usize, Duration), StoreError> {
    let reader = db.reader();
    let now = db.now(reader).await?;
    let (number, oldest) = store::mails::due(reader, now, COUNTED).await?;
    let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
    Ok((number, age))
}

/// Does so every ten seconds until `stop`. While the database is away the last count stands.
pub(crate) async fn run(db: Db, metrics: Metrics, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Not an error worth a line every ten seconds: whoever needs the database complains by
        // itself.
        if let Ok((number, age)) = count_due(&db).await {
            metrics.due(number, age);
        }
    }
}
