//! A message that is in our hands: how often it came, and the way to acknowledge it.

use std::sync::Arc;

use anyhow::anyhow;
use async_nats::jetstream::{self, AckKind, message::Acker};

use super::{
    delivery::{Content, Delivery, Left},
    origin::{Origin, Source},
};
use crate::clock::Timestamp;

/// A delivery with the broker's side of it.
pub(super) struct HeldMessage {
    pub(super) delivery: Delivery,
    /// How often the broker handed it out, this time included.
    pub(super) delivered: i64,
    /// How many messages wait behind it.
    pub(super) pending: u64,
    acker: Acker,
}

impl HeldMessage {
    pub(super) fn new(message: jetstream::Message, origin: &Arc<Origin>) -> anyhow::Result<Self> {
        let info = message.info().map_err(|error| {
            anyhow!(error).context("a message without JetStream's reply subject")
        })?;
        let (delivered, pending) = (info.delivered, info.pending);
        let source = Source {
            origin: Arc::clone(origin),
            sequence: info.stream_sequence.cast_signed(),
        };
        let micros = info.published.unix_timestamp_nanos() / 1_000;
        let stored_at = Timestamp(i64::try_from(micros).unwrap_or_default());
        let (message, acker) = message.split();
        let content = Content {
            subject: message.subject.into_string(),
            headers: message.headers.unwrap_or_default(),
            payload: message.payload,
        };
        Ok(Self {
            delivery: Delivery::new(content, source, stored_at, 1, Left::Nothing),
            delivered,
            pending,
            acker,
        })
    }

    /// Tells the broker that it is done.
    pub(super) async fn ack(&self) {
        if let Err(error) = self.acker.ack().await {
            tracing::warn!(error = %error, "An ack was not sent; the message comes again, without effect.");
        }
    }

    /// Tells the broker that it is still being worked on; where that fails, the next time tells it.
    pub(super) async fn hold(&self) {
        let _ = self.acker.ack_with(AckKind::Progress).await;
    }
}
