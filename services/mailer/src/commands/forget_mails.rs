//! Forgets mails whose code expired more than seven days ago, with their attempts. Any replica may do it: it is
//! idempotent.

use std::time::Duration;

use kit::db::{Db, StoreError};
use tokio_util::sync::CancellationToken;

use crate::store::{attempts, mails};

const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Mails of one transaction: few enough that claims wait no longer for the writer than for a mail server.
const BATCH: u64 = 500;

/// Forgets now and then until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match forget_mails(&db).await {
            Ok(0) => {}
            Ok(mails) => tracing::info!(mails, "Mails of long expired codes were forgotten."),
            Err(error) => {
                tracing::warn!(%error, "Old mails could not be forgotten; next try in ten minutes.");
            }
        }
    }
}

/// Deletes all that is due, bit by bit, and returns how many mails that was.
async fn forget_mails(db: &Db) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let tx = db.write("forget mails").await?;
        // Attempts of exactly the mails that are deleted: another replica may be at the same ones.
        let due = mails::lock_due(&tx, BATCH).await?;
        attempts::delete_of(&tx, &due).await?;
        mails::delete(&tx, &due).await?;
        tx.commit().await?;
        let forgotten = due.len() as u64;
        all += forgotten;
        if forgotten < BATCH {
            return Ok(all);
        }
    }
}
