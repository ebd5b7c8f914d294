//! Keeps a stream from filling with what everybody has read: past half of its bytes it is purged up
//! to the lowest ack floor of its consumers. Any replica may do it at any time, because doing it
//! twice changes nothing.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{connection::Bus, durable::Durable};

/// Purges what every consumer has acknowledged, if the stream is past half of its limit.
pub(super) async fn purge_read(bus: &Bus, durable: &Durable) -> anyhow::Result<()> {
    let stream = &durable.stream;
    let found = bus
        .jetstream()
        .get_stream(stream.name)
        .await
        .context("The stream cannot be read.")?;
    if found.cached_info().state.bytes < stream.max_bytes.unsigned_abs() / 2 {
        return Ok(());
    }
    let consumers: Vec<_> = found
        .consumers()
        .take(100)
        .try_collect()
        .await
        .context("Its consumers cannot be read.")?;
    if !consumers
        .iter()
        .any(|consumer| consumer.name == durable.name)
    {
        return Ok(()); // it is just being made again: what it has read is not known
    }
    let Some(read_by_all) = consumers
        .iter()
        .map(|consumer| consumer.ack_floor.stream_sequence)
        .min()
    else {
        return Ok(());
    };
    found
        .purge()
        .sequence(read_by_all + 1)
        .await
        .context("It cannot be purged.")?;
    tracing::info!(
        stream = stream.name,
        up_to = read_by_all,
        "Purged what every consumer has acknowledged."
    );
    Ok(())
}
