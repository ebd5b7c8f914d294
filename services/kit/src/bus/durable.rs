//! A service's durable consumer: made by the service itself, and made again when the stream beneath
//! it is another one than before.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    context::ConsumerInfoErrorKind,
    stream,
};
use proto::streams::Stream;

use super::{connection::Bus, origin::Origin};
use crate::clock::Timestamp;

/// A durable pull consumer as it should be.
#[derive(Debug, Clone)]
pub struct Durable {
    /// The stream it reads.
    pub stream: Stream,
    /// By which the broker remembers it: the same from start to start, and for all replicas.
    pub name: String,
    /// The subjects it wants.
    pub filter: String,
}

/// A consumer's deadlines and sizes. Configuration, so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// How long the server waits for an ack or an in-progress ack before it hands a message out
    /// again.
    pub ack_wait: Duration,
    /// The trial that makes a message a dead letter: so often its handling was begun and never came
    /// to its end.
    pub trials: i32,
    /// Most messages of one transaction.
    pub batch: usize,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            ack_wait: Duration::from_secs(3),
            trials: 10,
            batch: 256,
        }
    }
}

/// Where the durable keeps the creation time of the stream that it was made for.
const STREAM_CREATED: &str = "usher.stream_created";

/// A durable that is ready to be pulled from.
pub(super) struct Attached {
    pub(super) consumer: PullConsumer,
    /// What it reads.
    pub(super) origin: Arc<Origin>,
    /// Whether messages are out that nobody has acknowledged: another replica's, or those of a
    /// process that died.
    pub(super) has_unacked: bool,
}

/// Finds the durable, or makes it. One that belongs to an earlier stream of the same name, or has
/// seen more than the stream holds (a restored copy), would never see what comes now: it is deleted
/// and made again, from the start of the stream. Natural keys make the repetition harmless.
pub(super) async fn attach(
    bus: &Bus,
    durable: &Durable,
    settings: &ConsumerSettings,
) -> anyhow::Result<Attached> {
    let stream = bus.jetstream().get_stream(durable.stream.name).await;
    let stream = stream.with_context(|| {
        format!(
            "Stream {0} cannot be read; `usher nats provision` makes it",
            durable.stream.name
        )
    })?;
    let stream_created = created(&stream);
    match stream.consumer_info(&durable.name).await {
        Ok(found) => {
            // Read after the consumer: what it has seen by then is in the stream, however fast
            // others publish.
            let last = stream
                .get_info()
                .await
                .context("The stream cannot be read.")?
                .state
                .last_sequence;
            let same_stream = found.config.metadata.get(STREAM_CREATED) == Some(&stream_created);
            if !same_stream || found.delivered.stream_sequence > last {
                tracing::warn!(
                    consumer = durable.name,
                    "The stream was replaced or rolled back; reading it anew."
                );
                stream
                    .delete_consumer(&durable.name)
                    .await
                    .context("The old consumer cannot be deleted.")?;
            }
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {}
        Err(error) => return Err(error).context("The consumer cannot be read."),
    }
    let consumer = stream
        .create_consumer(config(durable, settings, stream_created.clone()))
        .await;
    let consumer =
        consumer.with_context(|| format!("Consumer {} cannot be made.", durable.name))?;
    let has_unacked = consumer.cached_info().num_ack_pending > 0;
    let created = stream.cached_info().created.unix_timestamp_nanos() / 1_000;
    let origin = Origin {
        stream: durable.stream.name.to_owned(),
        stream_created: Timestamp(i64::try_from(created).unwrap_or_default()),
        durable: durable.name.clone(),
    };
    Ok(Attached {
        consumer,
        origin: Arc::new(origin),
        has_unacked,
    })
}

fn created(stream: &stream::Stream) -> String {
    stream
        .cached_info()
        .created
        .unix_timestamp_nanos()
        .to_string()
}

pub(super) fn config(
    durable: &Durable,
    settings: &ConsumerSettings,
    stream_created: String,
) -> pull::Config {
    pull::Config {
        durable_name: Some(durable.name.clone()),
        filter_subject: durable.filter.clone(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait,
        max_deliver: -1, // the broker cannot tell a crash from a slow path or a stop: `trials` counts
        max_ack_pending: 1_000,
        inactive_threshold: Duration::ZERO,
        metadata: HashMap::from([(STREAM_CREATED.to_owned(), stream_created)]),
        ..pull::Config::default()
    }
}
