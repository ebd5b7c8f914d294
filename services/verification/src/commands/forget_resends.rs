//! Forgets who asked for another code, once no limit looks back at it any more. Nothing depends on when it runs.

use std::time::Duration;

use kit::db::{Db, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{domain::RESEND_LIMITS, store};

const INTERVAL: Duration = Duration::from_secs(10 * 60);

async fn forget_resends(db: &Db) -> Result<(), StoreError> {
    let longest = RESEND_LIMITS
        .map(|limit| limit.age)
        .into_iter()
        .max()
        .unwrap_or_default();
    let tx = db.write("forget resends").await?;
    store::resends::forget(&tx, tx.now() - longest).await?;
    Ok(tx.commit().await?)
}

/// Does so every ten minutes until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = forget_resends(&db).await {
            tracing::warn!(%error, "Old resends could not be forgotten; next try in ten minutes.");
        }
    }
}
