//! Forgets mails whose code expired more than seven days ago, with their attempts. Any replica may do it: it is
//! idempotent.

use std::time::Duration;

use kit::db::Db;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use crate::store::mails;

const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Rows a transaction: few enough that claims wait no longer for the writer than for a mail server.
const BATCH: u64 = 500;

/// Purges now and then until `stop`.
pub async fn run(db: Db, stop: CancellationToken) {
    let mut tick = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        match purge_expired(&db).await {
            Ok(0) => {}
            Ok(mails) => tracing::info!(mails, "Mails of long expired codes were forgotten."),
            Err(error) => {
                tracing::warn!(%error, "Old mails could not be forgotten; tried again later.");
            }
        }
    }
}

/// Deletes all that is due, and returns how many mails that was.
///
/// # Errors
/// The database's.
pub async fn purge_expired(db: &Db) -> Result<u64, DbErr> {
    let mut all = 0;
    loop {
        let tx = db.begin().await?;
        let now = db.now(&tx).await?;
        let purged = mails::purge(&tx, now, BATCH).await?;
        tx.commit().await?;
        all += purged;
        if purged < BATCH {
            return Ok(all);
        }
    }
}
