//! Makes the streams as `proto::streams` describes them, and tells where a server's streams differ.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use proto::streams::{ALL, DUPLICATE_WINDOW, Stream};

use super::connection::Bus;

/// Makes the streams that are missing and corrects those that differ. `replicas` is how many copies each has; where it
/// says nothing, a stream keeps the copies that it has, and a new one gets one. Does nothing where all is as
/// described, so it may be repeated.
///
/// # Errors
/// When the broker is away or refuses a change; the message names the stream.
pub async fn provision(bus: &Bus, replicas: Option<usize>) -> anyhow::Result<()> {
    for stream in ALL {
        let copies = match replicas {
            Some(replicas) => replicas,
            None => found(bus, &stream)
                .await?
                .map_or(1, |found| found.num_replicas),
        };
        let made = bus
            .jetstream()
            .create_or_update_stream(config(&stream, copies))
            .await;
        made.with_context(|| format!("Stream {} cannot be made or corrected.", stream.name))?;
    }
    Ok(())
}

/// One difference between a stream and its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stream's name.
    pub stream: &'static str,
    /// What differs, as a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}: {}", self.stream, self.what)
    }
}

/// Every difference between the server's streams and their descriptions.
///
/// # Errors
/// When the broker does not answer.
pub async fn drift(bus: &Bus) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for stream in ALL {
        let Some(found) = found(bus, &stream).await? else {
            findings.push(Finding {
                stream: stream.name,
                what: "is missing".to_owned(),
            });
            continue;
        };
        let wanted = config(&stream, found.num_replicas);
        let differences = differences(&wanted, &found);
        findings.extend(differences.into_iter().map(|what| Finding {
            stream: stream.name,
            what,
        }));
    }
    Ok(findings)
}

/// The stream as the server has it.
async fn found(bus: &Bus, stream: &Stream) -> anyhow::Result<Option<Config>> {
    match bus.jetstream().get_stream(stream.name).await {
        Ok(found) => Ok(Some(found.cached_info().config.clone())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("The broker does not answer."),
    }
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn config(stream: &Stream, replicas: usize) -> Config {
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

fn differences(wanted: &Config, found: &Config) -> Vec<String> {
    let mut all = Vec::new();
    let mut compare = |what: &str, wanted: String, found: String| {
        if wanted != found {
            all.push(format!("{what} is {found}, should be {wanted}"));
        }
    };
    let seconds = |duration: Duration| format!("{} s", duration.as_secs());
    compare(
        "subjects",
        wanted.subjects.join(" "),
        found.subjects.join(" "),
    );
    compare(
        "retention",
        format!("{:?}", wanted.retention),
        format!("{:?}", found.retention),
    );
    compare(
        "storage",
        format!("{:?}", wanted.storage),
        format!("{:?}", found.storage),
    );
    compare(
        "discard",
        format!("{:?}", wanted.discard),
        format!("{:?}", found.discard),
    );
    compare(
        "max_bytes",
        wanted.max_bytes.to_string(),
        found.max_bytes.to_string(),
    );
    compare("max_age", seconds(wanted.max_age), seconds(found.max_age));
    compare(
        "duplicate_window",
        seconds(wanted.duplicate_window),
        seconds(found.duplicate_window),
    );
    all
}
