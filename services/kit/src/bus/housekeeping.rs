//! Deletes dead letters and trials that are too old to matter. Nothing depends on when it runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{letters, trials};
use crate::{
    db::{Db, StoreError},
    repeat,
};

const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one transaction, so that nobody waits for it.
const AT_ONCE: u64 = 1_000;

/// Tidies now and every ten minutes, until `stop`.
pub(super) async fn run(db: &Db, stop: CancellationToken) {
    repeat::every(
        INTERVAL,
        "Old dead letters were not forgotten",
        stop,
        || forget(db),
    )
    .await;
}

async fn forget(db: &Db) -> Result<(), StoreError> {
    loop {
        let tx = db.write("forget dead letters").await?;
        let purged = letters::purge(&tx, AT_ONCE).await? + trials::purge(&tx, AT_ONCE).await?;
        tx.commit().await?;
        if purged < AT_ONCE {
            return Ok(());
        }
    }
}
