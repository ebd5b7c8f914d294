//! Forgets who asked for another code, once no limit looks back at it any more. Nothing depends on
//! when it runs.

use std::time::Duration;

use kit::{
    db::{Db, StoreError},
    repeat,
};
use tokio_util::sync::CancellationToken;

use crate::{domain::RESEND_LIMITS, store};

const INTERVAL: Duration = Duration::from_secs(60);
/// Most rows of one transaction, so that nobody waits for it.
const AT_ONCE: u64 = 1_000;
/// Most requests that no account answers to.
const OF_NOBODY: u64 = 100_000;

/// Forgets now and every minute, until `stop`.
pub(crate) async fn run(db: Db, stop: CancellationToken) {
    repeat::every(
        INTERVAL,
        "Old requests for codes were not forgotten",
        stop,
        || forget_resends(&db),
    )
    .await;
}

async fn forget_resends(db: &Db) -> Result<(), StoreError> {
    let ages = RESEND_LIMITS.map(|limit| limit.age);
    let longest = ages.into_iter().max().unwrap_or_default();
    loop {
        // Bit by bit: between two of them other transactions have their turn.
        let tx = db.write("forget resends").await?;
        let forgotten = store::resends::forget(&tx, tx.now() - longest, AT_ONCE).await?;
        tx.commit().await?;
        if forgotten < AT_ONCE {
            break;
        }
    }
    // Anybody can make these up, at any rate: the oldest are forgotten before their time, which
    // loosens the limits of addresses that get no mail, where the table would grow without a bound.
    let Some(end) = store::resends::end_of_nobody(db.reader(), OF_NOBODY).await? else {
        return Ok(());
    };
    loop {
        let tx = db.write("forget resends of nobody").await?;
        let forgotten = store::resends::forget_nobody(&tx, end, AT_ONCE).await?;
        tx.commit().await?;
        if forgotten < AT_ONCE {
            return Ok(());
        }
    }
}
