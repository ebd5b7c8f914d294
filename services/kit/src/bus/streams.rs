//! Makes the streams as `proto::streams` describes them; `drift` tells where a server's streams
//! differ.

use anyhow::Context as _;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType, Stream as Found,
};
use proto::streams::{ALL, DUPLICATE_WINDOW, Stream};

use super::{connection::Bus, difference::differences};

/// A stream after `provision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// As `proto::streams` calls it.
    pub stream: &'static str,
    /// What was done to it.
    pub change: Change,
}

/// What `provision` did to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was missing.
    Made,
    /// It differed: what was changed, such as `max_age was 60 s, is 604800 s`.
    Corrected(Vec<String>),
    /// It was as it should be.
    Unchanged,
}

/// Makes the streams that are missing and corrects those that differ; tells of each what was done.
/// `replicas` is how many copies each has; where it says nothing, a stream keeps the copies that it
/// has, and a new one gets one. Does nothing where all is as described, so it may be repeated.
///
/// # Errors
/// When the broker is away or refuses a change; the message names the stream.
pub async fn provision(bus: &Bus, replicas: Option<usize>) -> anyhow::Result<Vec<Provisioned>> {
    let mut provisioned = Vec::new();
    for stream in ALL {
        let before = found(bus, &stream).await?;
        let before = before.map(|found| found.cached_info().config.clone());
        let had = before.as_ref().map_or(1, |before| before.num_replicas);
        let made = bus
            .jetstream()
            .create_or_update_stream(config(&stream, replicas.unwrap_or(had)))
            .await;
        let made =
            made.with_context(|| format!("Stream {} cannot be made or corrected.", stream.name))?;
        provisioned.push(Provisioned {
            stream: stream.name,
            change: before.map_or(Change::Made, |before| change(&before, &made.config)),
        });
    }
    Ok(provisioned)
}

fn change(before: &Config, after: &Config) -> Change {
    let mut corrections = Vec::new();
    // The server writes its own version into the metadata.
    for differs in differences(after, before, &["metadata"]) {
        let (field, was, is) = (differs.field, differs.found, differs.wanted);
        corrections.push(format!("{field} was {was}, is {is}"));
    }
    match corrections.is_empty() {
        true => Change::Unchanged,
        false => Change::Corrected(corrections),
    }
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
