//! The span of handling one message: begun when it was pulled, ended when it is settled.

use opentelemetry::KeyValue;
use proto::events::headers;

use super::delivery::{Delivery, Left};
use crate::{
    clock::Timestamp,
    propagation,
    telemetry::{
        names,
        span::{self, Lineage},
    },
};

/// Begins the `process` span of the message's handling number `delivered` and makes its context the
/// delivery's.
pub(super) fn begin(delivery: &mut Delivery, delivered: i64, now: Timestamp) {
    let creation = propagation::extract_nats(delivery.headers());
    // An event that is published again goes under a message id of its own: the duplicate window
    // would swallow it.
    let is_first = delivery.header(headers::MESSAGE_ID) == delivery.event_id();
    let lineage = match is_first && delivery.left != Left::Letter {
        true => Lineage::Aged(now.since(delivery.stored_at)),
        false => Lineage::Replayed,
    };
    let origin = &delivery.source.origin;
    let attributes = [
        KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::PROCESS),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::PROCESS),
        KeyValue::new(
            names::MESSAGING_DESTINATION_NAME,
            delivery.subject().to_owned(),
        ),
        KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, origin.durable.clone()),
        KeyValue::new(
            names::MESSAGING_MESSAGE_ID,
            delivery.header(headers::MESSAGE_ID).to_owned(),
        ),
        KeyValue::new(names::USHER_EVENT_ID, delivery.event_id().to_owned()),
        KeyValue::new(names::MESSAGING_NATS_STREAM, origin.stream.clone()),
        KeyValue::new(
            names::MESSAGING_NATS_STREAM_SEQUENCE,
            delivery.source.sequence,
        ),
        KeyValue::new(names::MESSAGING_NATS_DELIVERY_COUNT, delivered),
    ];
    let name = names::messaging_span(names::PROCESS, delivery.subject());
    delivery.context = span::process(name, &creation, lineage, attributes);
}
