//! Forgets who asked for another code, once no limit looks back at it any more. Nothing depends on when it runs.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    tidy,
};
use tokio_util::sync::CancellationToken;

use crate::{domain::RESEND_LIMITS, store};

const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Forgets now and every ten minutes, until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    tidy::every(INTERVAL, "Old requests for codes", stop, || {
        forget_resends(&db)
    })
    .await;
}

async fn forget_resends(db: &Db) -> Result<(), StoreError> {
    let ages = RESEND_LIMITS.map(|limit| limit.age);
    let longest = ages.into_iter().max().unwrap_or_default();
    let tx = db.write("forget resends").await?;
    store::resends::forget(&tx, tx.now() - longest).await?;
    Ok(tx.commit().await?)
}
