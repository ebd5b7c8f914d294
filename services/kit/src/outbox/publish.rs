//! One window on its way to the broker, a span for each event.

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::{
    context::{PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
};
use futures::future::join_all;
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanKind, TraceContextExt as _},
};
use uuid::Uuid;

use super::record::Outgoing;
use crate::{
    bus::Bus,
    clock::Timestamp,
    propagation,
    telemetry::{names, span},
};

/// Publishes the rows. Returns what is stored, with its number in the stream, and what is not.
pub(super) async fn publish(
    bus: &Bus,
    now: Timestamp,
    rows: &[Outgoing],
) -> (Vec<(Uuid, i64)>, Vec<Outgoing>) {
    // First all are sent, then all acknowledgements are awaited: one round trip for the window,
    // where one after the other would cost a round trip each.
    let mut waiting = Vec::with_capacity(rows.len());
    for row in rows {
        let context = begin(row, now);
        let message = PublishMessage::build()
            .headers(row.headers.clone())
            .payload(row.payload.clone());
        waiting.push((
            row,
            context,
            bus.jetstream()
                .send_publish(row.subject.clone(), message)
                .await,
        ));
    }
    let results = join_all(waiting.into_iter().map(async |(row, context, sent)| {
        let stored = acknowledged(sent).await;
        (row, context, stored)
    }));
    // Each row by itself: one that the stream refuses must not make the others be published again.
    let (mut acked, mut failed, mut first_error) =
        (Vec::with_capacity(rows.len()), Vec::new(), None);
    for (row, context, stored) in results.await {
        match stored {
            Ok(sequence) => {
                span::set(
                    &context,
                    KeyValue::new(names::MESSAGING_NATS_STREAM_SEQUENCE, sequence),
                );
                span::end(&context);
                acked.push((row.id, sequence));
            }
            Err(error) => {
                span::fail(&context, "not_stored");
                first_error.get_or_insert(error);
                failed.push(row.clone());
            }
        }
    }
    // One line for the window: when the broker goes away, all of its rows fail for the same reason.
    if let Some(error) = first_error {
        let (events, error) = (failed.len(), format!("{error:#}"));
        tracing::warn!(
            events,
            error,
            "Events were not published; they are tried again."
        );
    }
    (acked, failed)
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

async fn acknowledged(sent: Result<PublishAckFuture, PublishError>) -> anyhow::Result<i64> {
    // Two awaits: that the message was sent says nothing yet; only the stream's own answer says
    // that it is stored.
    let stored = sent.context("not sent")?.await.map_err(explain)?;
    Ok(i64::try_from(stored.sequence).unwrap_or(i64::MAX))
}

fn explain(error: PublishError) -> anyhow::Error {
    match error.kind() {
        PublishErrorKind::StreamNotFound => {
            // Nobody listens on the subject. It heals by no retry, so the message names what does.
            anyhow!("no stream takes the subject; `usher nats provision` makes it")
        }
        _ => anyhow!(error).context("not acknowledged"),
    }
}
