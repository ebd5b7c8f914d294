//! One message as a handler sees it, and what the handler may say of it.

use std::{fmt, time::Duration};

use anyhow::anyhow;
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use opentelemetry::Context;
use proto::events::{Event, headers};

use crate::clock::Timestamp;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its work is committed.
    Ack,
    /// Not now: hold it and hand it to the handler again after this time. Nothing is counted.
    Retry(Duration),
    /// It can never be handled, for this reason: lower-case words with underscores, never a value of the message.
    Reject(&'static str),
}

/// A message under way to a handler. Its payload may name a person, so it is never printed.
#[derive(Clone)]
pub struct Delivery {
    pub(super) message: jetstream::Message,
    /// The `process` span's context: parent of what the handler does.
    pub context: Context,
    /// How often it was handed out, this time included.
    pub delivered: i64,
    /// Its number in the stream.
    pub stream_sequence: u64,
    /// How many messages wait behind it.
    pub pending: u64,
    /// When the stream stored it, by the broker's clock.
    pub stored_at: Timestamp,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Delivery({} {}, time {})",
            self.subject(),
            self.stream_sequence,
            self.delivered
        )
    }
}

impl Delivery {
    pub(super) fn new(message: jetstream::Message) -> anyhow::Result<Self> {
        let info = message.info().map_err(|error| {
            anyhow!(error).context("a message without JetStream's reply subject")
        })?;
        let (delivered, stream_sequence, pending) =
            (info.delivered, info.stream_sequence, info.pending);
        let micros = info.published.unix_timestamp_nanos() / 1_000;
        let stored_at = Timestamp(i64::try_from(micros).unwrap_or_default());
        let context = Context::new();
        Ok(Self {
            message,
            context,
            delivered,
            stream_sequence,
            pending,
            stored_at,
        })
    }

    /// Subject it was published to.
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.message
            .headers
            .as_ref()
            .and_then(|all| all.get(name))
            .map_or("", |value| value.as_str())
    }

    /// CloudEvents `id`; empty when the message is none of ours.
    pub fn event_id(&self) -> &str {
        self.header(headers::ID)
    }

    /// The event in the payload.
    ///
    /// # Errors
    /// The verdict that gives up on the message: another type, another version, or a payload that is broken.
    pub fn decode<E: Event>(&self) -> Result<E, Verdict> {
        if self.header(headers::SPEC_VERSION) != headers::SPEC_VERSION_1_0 {
            return Err(Verdict::Reject("not_a_cloud_event"));
        }
        if self.header(headers::TYPE) != E::TYPE || self.subject() != E::SUBJECT {
            return Err(Verdict::Reject("unknown_type"));
        }
        E::decode(self.message.payload.clone()).map_err(|_| Verdict::Reject("broken_payload"))
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.message.headers.clone().unwrap_or_default()
    }

    pub(super) fn payload(&self) -> Bytes {
        self.message.payload.clone()
    }
}
