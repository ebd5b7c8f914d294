//! After the database's clock was set back, a mail that was to wait for seconds would wait for as
//! long as the clock went back: it waits from now on for as long as it was to wait.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    repeat,
};
use tokio_util::sync::CancellationToken;

use crate::store;

/// Most mails of one transaction.
const BATCH: u64 = 500;
/// Clocks are corrected by so much all the time.
const NEGLIGIBLE: Duration = Duration::from_secs(1);

/// Does so every `tick`, until `stop`.
pub(crate) async fn run(db: Db, tick: Duration, stop: CancellationToken) {
    repeat::every(
        tick,
        "Mails that wait for the clock were not rescheduled",
        stop,
        || reschedule_all(&db),
    )
    .await;
}

async fn reschedule_all(db: &Db) -> Result<(), StoreError> {
    while reschedule_batch(db).await? {}
    Ok(())
}

/// Returns whether there may be more.
async fn reschedule_batch(db: &Db) -> Result<bool, StoreError> {
    let reader = db.reader();
    let now = db.now(reader).await?;
    if !store::mails::is_any_scheduled_after(reader, now + NEGLIGIBLE).await? {
        return Ok(false); // as nearly always: a tick costs no write transaction
    }
    let tx = db.write("reschedule mails").await?;
    let mails = store::mails::reschedule(&tx, tx.now() + NEGLIGIBLE, BATCH).await?;
    tx.commit().await?;
    tracing::warn!(
        mails,
        "The database's clock was set back; mails that waited for it do not."
    );
    Ok(mails as u64 == BATCH)
}
