//! An event as a row of the outbox: before it is written, and on its way to the broker.

use std::fmt;

use async_nats::HeaderMap;
use bytes::Bytes;
use opentelemetry::Context;
use proto::events::{Event, headers as event_headers};
use uuid::Uuid;

use crate::{clock::Timestamp, propagation};

/// An event that is to be written to the outbox. Its payload may name a person, so it is never
/// printed.
#[derive(Clone)]
pub struct Record {
    /// CloudEvents `id` and the row's key.
    pub(super) id: Uuid,
    /// What the event is about.
    pub(super) aggregate_id: Uuid,
    pub(super) subject: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Record {
    /// Encodes an event that happened to `aggregate_id` at `at`, with CloudEvents headers in binary
    /// mode. `context` is its creation span's; it travels in the row, so that whoever publishes
    /// continues the right trace.
    pub fn new<E: Event>(
        id: Uuid,
        aggregate_id: Uuid,
        event: &E,
        at: Timestamp,
        context: &Context,
    ) -> Self {
        let mut all = HeaderMap::new();
        // JetStream stores a message id once within its duplicate window: two relays that publish
        // the same row, or one that did not hear the acknowledgement, add nothing to the stream.
        all.insert(event_headers::MESSAGE_ID, id.to_string());
        all.insert(event_headers::ID, id.to_string());
        all.insert(event_headers::TYPE, E::TYPE);
        all.insert(event_headers::SOURCE, E::SOURCE);
        all.insert(event_headers::SUBJECT, aggregate_id.to_string());
        all.insert(event_headers::TIME, at.to_string());
        all.insert(event_headers::SPEC_VERSION, event_headers::SPEC_VERSION_1_0);
        propagation::inject_nats(context, &mut all);
        Self {
            id,
            aggregate_id,
            subject: E::SUBJECT,
            headers: all,
            payload: event.encode_to_vec().into(),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} {})", self.subject, self.id)
    }
}

/// A row on its way to the broker.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) id: Uuid,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    pub(super) created_at: Timestamp,
    pub(super) attempts: i32,
    pub(super) claim_no: i32,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} {})", self.subject, self.id)
    }
}
