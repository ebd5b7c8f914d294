//! Dead letters: a message that cannot be handled is kept in stream DEAD_LETTERS with its reason before it is given
//! up, so that nothing is ever dropped in silence.

use anyhow::Context as _;
use async_nats::{HeaderMap, jetstream::message::PublishMessage};
use bytes::Bytes;
use proto::{events::headers, streams::DEAD_LETTER_PREFIX};
use serde::Deserialize;

use super::{
    connection::Bus,
    delivery::{Delivery, Verdict},
};
use crate::clock::Timestamp;

/// What a dead letter says beside the message itself. Header names start with `usher-dead-letter-`.
pub(super) struct DeadLetter<'a> {
    pub(super) subject: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    pub(super) reason: &'a str,
    pub(super) attempts: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) source: Source<'a>,
}

/// Which message it was. A stream that is made again counts from 1 again: its creation time tells them apart.
pub(super) struct Source<'a> {
    pub(super) stream: &'a str,
    pub(super) stream_created: &'a str,
    pub(super) durable: &'a str,
    pub(super) sequence: u64,
}

/// Publishes a dead letter and waits until it is stored. Repeating it within the duplicate window has no effect.
pub(super) async fn publish(bus: &Bus, letter: DeadLetter<'_>) -> anyhow::Result<()> {
    let Source {
        stream,
        stream_created,
        durable,
        sequence,
    } = letter.source;
    // Without NATS's own headers: an expectation that the original met would keep the dead letter out of its stream.
    let mut all = HeaderMap::new();
    for (name, values) in letter
        .headers
        .iter()
        .filter(|(name, _)| !name.to_string().starts_with("Nats-"))
    {
        values
            .iter()
            .for_each(|value| all.append(name.clone(), value.clone()));
    }
    let facts = [
        (
            headers::MESSAGE_ID,
            format!("dlq:{stream}:{stream_created}:{durable}:{sequence}"),
        ),
        ("usher-dead-letter-reason", letter.reason.to_owned()),
        ("usher-dead-letter-attempts", letter.attempts.to_string()),
        ("usher-dead-letter-first-at", letter.first_at.to_string()),
        ("usher-dead-letter-last-at", letter.last_at.to_string()),
        ("usher-dead-letter-stream", stream.to_owned()),
        ("usher-dead-letter-sequence", sequence.to_string()),
        ("usher-dead-letter-durable", durable.to_owned()),
    ];
    for (name, value) in facts {
        all.insert(name, value);
    }
    let subject = format!("{DEAD_LETTER_PREFIX}{}", letter.subject);
    let message = PublishMessage::build().payload(letter.payload).headers(all);
    let stored = bus
        .jetstream()
        .send_publish(subject, message)
        .await
        .context("The dead letter was not sent.")?;
    stored.await.context("The dead letter was not stored.")?;
    tracing::warn!(
        stream,
        sequence,
        durable,
        reason = letter.reason,
        "A message became a dead letter."
    );
    Ok(())
}

/// JetStream's notice that a message was handed out `max_deliver` times without an ack.
#[derive(Deserialize)]
pub(super) struct MaxDeliveries {
    stream: String,
    consumer: String,
    stream_seq: u64,
    deliveries: i64,
}

impl MaxDeliveries {
    /// Where the server publishes such notices for one consumer.
    pub(super) fn subject(stream: &str, durable: &str) -> String {
        format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{durable}")
    }

    pub(super) fn parse(notice: &Delivery) -> Result<Self, Verdict> {
        serde_json::from_slice(&notice.payload()).map_err(|_| Verdict::Reject("broken_advisory"))
    }

    /// Fetches the message that the notice names and makes it a dead letter. Nothing is left to do when the stream
    /// no longer holds it.
    pub(super) async fn bury(&self, bus: &Bus, notice_stored_at: Timestamp) -> anyhow::Result<()> {
        let stream = bus
            .jetstream()
            .get_stream(&self.stream)
            .await
            .context("The stream cannot be read.")?;
        let created = stream
            .cached_info()
            .created
            .unix_timestamp_nanos()
            .to_string();
        let message = match stream.get_raw_message(self.stream_seq).await {
            Ok(message) => message,
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error).context("The message cannot be read."),
        };
        let stored = i64::try_from(message.time.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        if Timestamp(stored) > notice_stored_at {
            return Ok(()); // the stream was made again since: another message has the number now
        }
        let letter = DeadLetter {
            subject: &message.subject,
            headers: message.headers.clone(),
            payload: message.payload.clone(),
            reason: "max_deliveries",
            attempts: self.deliveries,
            first_at: Timestamp(stored),
            last_at: notice_stored_at,
            source: Source {
                stream: &self.stream,
                stream_created: &created,
                durable: &self.consumer,
                sequence: self.stream_seq,
            },
        };
        publish(bus, letter).await
    }
}

fn is_gone(error: &async_nats::jetstream::stream::RawMessageError) -> bool {
    use async_nats::jetstream::stream::LastRawMessageErrorKind;
    matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound)
}
