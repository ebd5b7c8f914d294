//! Clears idempotency keys that are too old to count. Nothing depends on when it runs:
//! `create_account` takes an old key as if it were not there.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    repeat,
};
use tokio_util::sync::CancellationToken;

use crate::store::idempotency_keys;

const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Keys of one transaction: few enough that no sign-up waits for it.
const BATCH: u64 = 1_000;

/// Forgets now and every ten minutes, until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    repeat::every(
        INTERVAL,
        "Old idempotency keys were not forgotten",
        stop,
        || forget_keys(&db),
    )
    .await;
}

/// Deletes all keys that are too old, bit by bit.
async fn forget_keys(db: &Db) -> Result<(), StoreError> {
    loop {
        let tx = db.write("forget idempotency keys").await?;
        let deleted = idempotency_keys::delete_old(&tx, BATCH).await?;
        tx.commit().await?;
        if deleted < BATCH {
            return Ok(());
        }
    }
}
