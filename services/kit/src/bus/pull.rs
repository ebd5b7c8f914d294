//! Pulls what is there: a bundle as large as the load makes it, or, when nothing is there, the next message alone.
//! Nothing is fetched ahead, because a message's AckWait runs from the moment it leaves the server.

use std::time::Duration;

use anyhow::anyhow;
use async_nats::jetstream::consumer::{PullConsumer, pull::Batch};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::delivery::Delivery;

/// How long a pull waits on the server for a message.
const IDLE: Duration = Duration::from_secs(5);
/// How much longer the client waits for a server that has gone silent.
const GRACE: Duration = Duration::from_secs(2);

/// Up to `most` messages; none when nothing came for a while.
pub(super) async fn pull(consumer: &PullConsumer, most: usize) -> anyhow::Result<Vec<Delivery>> {
    let ready = timeout(GRACE, consumer.fetch().max_messages(most).messages()).await??;
    let ready = collect(ready, GRACE).await?;
    if !ready.is_empty() {
        return Ok(ready);
    }
    let next = timeout(
        GRACE,
        consumer.batch().max_messages(1).expires(IDLE).messages(),
    )
    .await??;
    collect(next, IDLE + GRACE).await
}

/// What has come is kept when the rest fails: a message that is thrown away would count as handed out.
async fn collect(mut batch: Batch, patience: Duration) -> anyhow::Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    loop {
        let error = match timeout(patience, batch.next()).await {
            Ok(None) => return Ok(deliveries),
            Ok(Some(Ok(message))) => {
                deliveries.push(Delivery::new(message)?);
                continue;
            }
            Ok(Some(Err(error))) => anyhow!(error),
            Err(silent) => silent.into(),
        };
        return if deliveries.is_empty() {
            Err(error)
        } else {
            Ok(deliveries)
        };
    }
}
