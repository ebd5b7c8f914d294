//! One message as a handler sees it: as the broker delivered it, or read again from its dead
//! letter.

use std::{fmt, sync::Arc};

use async_nats::HeaderMap;
use bytes::Bytes;
use opentelemetry::Context;
use proto::events::{Event, headers};

use super::origin::Source;
use crate::clock::Timestamp;

/// Why a message can never be handled: lower-case words with underscores, never a value of the
/// message.
pub type Reason = &'static str;

/// A message under way to a handler. Its payload may name a person, so it is never printed.
#[derive(Clone)]
pub struct Delivery {
    content: Arc<Content>,
    /// The `process` span's context: parent of what the handler does.
    pub context: Context,
    pub(super) source: Source,
    /// When the stream stored it, by the broker's clock.
    pub(super) stored_at: Timestamp,
    /// How often its handling was begun, this time included.
    pub(super) attempts: i32,
    pub(super) left: Left,
}

/// What was published.
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// What earlier handlings left in the database, to be deleted when the message is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Trial,
    Letter,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, sequence) = (self.subject(), self.source.sequence);
        write!(f, "Delivery({subject} {sequence}, time {})", self.attempts)
    }
}

impl Delivery {
    pub(super) fn new(
        content: Content,
        source: Source,
        stored_at: Timestamp,
        attempts: i32,
        left: Left,
    ) -> Self {
        Self {
            content: Arc::new(content),
            context: Context::new(),
            source,
            stored_at,
            attempts,
            left,
        }
    }

    /// Subject it was published to.
    pub fn subject(&self) -> &str {
        &self.content.subject
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.content.headers.get(name);
        value.map_or("", |value| value.as_str())
    }

    /// CloudEvents `id`; empty when the message is none of ours.
    pub fn event_id(&self) -> &str {
        self.header(headers::ID)
    }

    /// The event in the payload.
    ///
    /// # Errors
    /// Why the message is given up: another type, another version, or a payload that is broken.
    pub fn decode<E: Event>(&self) -> Result<E, Reason> {
        if self.header(headers::SPEC_VERSION) != headers::SPEC_VERSION_1_0 {
            return Err("not_a_cloud_event");
        }
        if self.header(headers::TYPE) != E::TYPE || self.subject() != E::SUBJECT {
            return Err("unknown_type");
        }
        E::decode(self.payload().clone()).map_err(|_| "broken_payload")
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.content.headers
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.content.payload
    }
}
