//! Work that nobody waits for, again and again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::db::StoreError;

/// How soon it is tried again after it failed.
const AGAIN: Duration = Duration::from_secs(2);

/// Runs `work` at once and every `interval` until `stop`; sooner where it failed, which is logged
/// once until it works again. `failure` is the sentence for that: "Old keys were not forgotten".
pub async fn every<F>(
    interval: Duration,
    failure: &'static str,
    stop: CancellationToken,
    mut work: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), StoreError>>,
{
    let mut was_failing = false;
    loop {
        // A stop cuts it: each of its transactions is whole, and the next process goes on.
        let Some(done) = stop.run_until_cancelled(work()).await else {
            return;
        };
        let pause = match &done {
            Ok(()) => interval,
            Err(error) => {
                // Once, until it works again: an outage of the database is told by others.
                if !was_failing {
                    tracing::warn!(%error, "{failure}; trying again until it works.");
                }
                interval.min(AGAIN)
            }
        };
        was_failing = done.is_err();
        if timeout(pause, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}
