//! Forgets mails whose code expired more than seven days ago, with their attempts. Any replica may
//! do it: it is idempotent.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    repeat,
};
use tokio_util::sync::CancellationToken;

use crate::store::{attempts, mails};

const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Mails of one transaction.
const BATCH: u64 = 500;

/// Forgets now and every ten minutes, until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    repeat::every(
        INTERVAL,
        "Mails of long expired codes were not forgotten",
        stop,
        || forget_mails(&db),
    )
    .await;
}

/// Deletes all that is due, bit by bit.
async fn forget_mails(db: &Db) -> Result<(), StoreError> {
    loop {
        // Bit by bit: claims wait no longer for the writer than for a mail server.
        let tx = db.write("forget mails").await?;
        // Attempts of exactly the mails that are deleted: another replica may be at the same ones.
        let due = mails::lock_due(&tx, BATCH).await?;
        attempts::delete_of(&tx, &due).await?;
        mails::delete(&tx, &due).await?;
        tx.commit().await?;
        let forgotten = due.len() as u64;
        if forgotten > 0 {
            tracing::info!(
                mails = forgotten,
                "Mails of long expired codes were forgotten."
            );
        }
        if forgotten < BATCH {
            return Ok(());
        }
    }
}
