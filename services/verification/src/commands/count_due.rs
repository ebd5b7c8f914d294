//! Counts the mails that are due, for `metrics`, and notices those whose key is not known here.

use std::time::Duration;

use kit::db::{Db, StoreError};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::{code_keys::CodeKeys, store};

const INTERVAL: Duration = Duration::from_secs(10);

/// Beyond this a count would take longer the more there are, and say nothing new.
const COUNTED: u64 = 10_000;

/// How many mails are due, how long the one that waits longest has been, and a key that some of
/// them wait for in vain here.
async fn count_due(
    db: &Db,
    keys: &CodeKeys,
) -> Result<(usize, Duration, Option<String>), StoreError> {
    let reader = db.reader();
    let now = db.now(reader).await?;
    let (number, oldest) = store::mails::due(reader, now, COUNTED).await?;
    let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
    let unknown = match number {
        0 => None,
        _ => {
            let ring = keys.ring();
            let retired = ring.retired().iter().map(String::as_str);
            let told_of = ring.ids().chain(retired).map(str::to_owned).collect();
            store::keys::other_key_waited_for(reader, now, told_of).await?
        }
    };
    Ok((number, age, unknown))
}

/// Does so every ten seconds until `stop`. While the database is away the last count stands.
pub(crate) async fn run(db: Db, keys: CodeKeys, metrics: Metrics, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Not an error worth a line every ten seconds: whoever needs the database complains by
        // itself.
        if let Ok((number, age, unknown)) = count_due(&db, &keys).await {
            metrics.due(number, age);
            keys.set_missing(unknown);
        }
    }
}
