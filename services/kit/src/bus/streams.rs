//! Makes the streams as `proto::streams` describes them; `drift` tells where a server's streams
//! differ.

use anyhow::Context as _;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType, Stream as Found,
};
use proto::streams::{ALL, DUPLICATE_WINDOW, Stream};

use super::connection::Bus;

/// Makes the streams that are missing and corrects those that differ. `replicas` is how many copies
/// each has; where it says nothing, a stream keeps the copies that it has, and a new one gets one.
/// Does nothing where all is as described, so it may be repeated.
///
/// # Errors
/// When the broker is away or refuses a change; the message names the stream.
pub async fn provision(bus: &Bus, replicas: Option<usize>) -> anyhow::Result<()> {
    for stream in ALL {
        let copies = match replicas {
            Some(replicas) => replicas,
            None => found(bus, &stream)
                .await?
                .map_or(1, |found| found.cached_info().config.num_replicas),
        };
        let made = bus
            .jetstream()
            .create_or_update_stream(config(&stream, copies))
            .await;
        made.with_context(|| format!("Stream {} cannot be made or corrected.", stream.name))?;
    }
    Ok(())
}

/// The stream as the server has it.
pub(super) async fn found(bus: &Bus, stream: &Stream) -> anyhow::Result<Option<Found>> {
    match bus.jetstream().get_stream(stream.name).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("The broker does not answer."),
    }
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

pub(super) fn config(stream: &Stream, replicas: usize) -> Config {
    Config {
        name: stream.name.to_owned(),
        subjects: stream.subjects.iter().map(ToString::to_string).collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: stream.max_bytes,
        max_age: stream.max_age,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: replicas,
        allow_direct: true,
        ..Config::default()
    }
}
