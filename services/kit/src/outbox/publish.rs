//! One window on its way to the broker, a span for each event.

use std::{
    error::Error as _,
    mem,
    sync::{Mutex, PoisonError},
};

use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
};
use futures::future::join_all;
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanKind, TraceContextExt as _},
};
use proto::streams;
use uuid::Uuid;

use super::record::Outgoing;
use crate::{
    bus::Bus,
    clock::Timestamp,
    propagation,
    serve::{Degraded, beat},
    telemetry::{names, span},
};

/// What the broker has acknowledged of a window, with its number in the stream: told as it comes,
/// because the window's end may be seconds away.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Vec<(Uuid, i64)>>);

impl Heard {
    fn tell(&self, event: Uuid, sequence: i64) {
        let mut acked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acked.push((event, sequence));
    }

    /// What was told since it was last asked.
    pub(super) fn take(&self) -> Vec<(Uuid, i64)> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Publishes the rows. Tells what is stored, as it is `heard`, and returns what is not.
pub(super) async fn publish(
    bus: &Bus,
    now: Timestamp,
    rows: &[Outgoing],
    heard: &Heard,
) -> Vec<Outgoing> {
    // First all are sent, then all acknowledgements are awaited: one round trip for the window,
    // where one after the other would cost a round trip each.
    let mut waiting = Vec::with_capacity(rows.len());
    for row in rows {
        beat();
        let context = begin(row, now);
        let mut message = PublishMessage::build()
            .headers(row.headers.clone())
            .payload(row.payload.clone());
        // A stream of somebody else's that takes the subject would acknowledge what none of ours
        // ever gets.
        if let Some(stream) = streams::of(&row.subject) {
            message = message.expected_stream(stream.name);
        }
        waiting.push((
            row,
            context,
            bus.jetstream()
                .send_publish(row.subject.clone(), message)
                .await,
        ));
    }
    // Each row by itself: one that the stream refuses must not make the others be published again.
    let results = join_all(waiting.into_iter().map(async |(row, context, sent)| {
        let stored = acknowledged(sent).await;
        end(&context, &stored);
        (row, stored.map(|sequence| heard.tell(row.id, sequence)))
    }));
    let (mut failed, mut first_error) = (Vec::new(), None);
    for (row, stored) in results.await {
        if let Err(error) = stored {
            first_error.get_or_insert(error);
            failed.push(row.clone());
        }
    }
    // One line for the window: when the broker goes away, all of its rows fail for the same reason.
    if let Some(Degraded { reason, .. }) = &first_error {
        let events = failed.len();
        tracing::warn!(
            events,
            "Events were not published, the broker {reason}; they are tried again."
        );
    }
    bus.published(first_error);
    failed
}

fn begin(row: &Outgoing, now: Timestamp) -> Context {
    // The event may have been created long ago and by another process: its context travelled in the
    // row, and this span hangs on it, not on whatever the relay happens to run under.
    let creation = propagation::extract_nats(&row.headers);
    let lag = now.since(row.created_at).as_secs_f64();
    let attributes = [
        KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::PUBLISH),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::SEND),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, row.subject.clone()),
        KeyValue::new(names::MESSAGING_MESSAGE_ID, row.id.to_string()),
        KeyValue::new(names::USHER_EVENT_ID, row.id.to_string()),
        KeyValue::new(names::USHER_ATTEMPT, i64::from(row.attempts) + 1),
        KeyValue::new(names::USHER_OUTBOX_LAG, lag),
    ];
    let link = creation.span().span_context().clone();
    let name = names::messaging_span(names::PUBLISH, &row.subject);
    span::linked(SpanKind::Client, name, &creation, attributes, [link])
}

fn end(context: &Context, stored: &Result<i64, Degraded>) {
    match stored {
        Ok(sequence) => {
            let number = KeyValue::new(names::MESSAGING_NATS_STREAM_SEQUENCE, *sequence);
            span::set(context, number);
            span::end(context);
        }
        Err(_) => span::fail(context, "not_stored"),
    }
}

async fn acknowledged(sent: Result<PublishAckFuture, PublishError>) -> Result<i64, Degraded> {
    // Two awaits: that the message was sent says nothing yet; only the stream's own answer says
    // that it is stored.
    let stored = match sent {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    let stored = stored.map_err(|error| explain(&error))?;
    Ok(i64::try_from(stored.sequence).unwrap_or(i64::MAX))
}

/// What a failed publish tells of the broker.
fn explain(error: &PublishError) -> Degraded {
    let refusal = error
        .source()
        .and_then(|it| it.downcast_ref::<jetstream::Error>());
    match (error.kind(), refusal.map(jetstream::Error::error_code)) {
        (PublishErrorKind::StreamNotFound, _) => Degraded::new(
            "has no stream for our events",
            "`usher doctor` says whether JetStream or a stream is missing.",
        ),
        (PublishErrorKind::TimedOut, _) => Degraded::new(
            "acknowledges no events; they wait in the outbox",
            "Look into nats-server's log. A stream whose disk was full once stays dead until nats-server is started \
             again: free space where its store lies, then restart it (`usher up` does that by itself).",
        ),
        (_, Some(ErrorCode::STREAM_NOT_MATCH)) => Degraded::new(
            "would put our events into another stream that takes their subjects",
            "`usher nats status` says which one; take the subjects from it, then run `usher nats provision`.",
        ),
        (_, Some(_)) => Degraded::new(
            format!(
                "refuses events: {}",
                refusal.map(ToString::to_string).unwrap_or_default()
            ),
            "`usher nats status` shows who has not read a full stream; if its disk is full, free space and restart it.",
        ),
        (PublishErrorKind::BrokenPipe, _) => Degraded::new(
            "takes no events: the connection to it broke",
            "It is made again by itself, and events wait in the outbox; if this stays, nats-server's log says why.",
        ),
        _ => Degraded::new(
            format!("takes no events: {error}"),
            "Look into nats-server's log; events wait in the outbox.",
        ),
    }
}
