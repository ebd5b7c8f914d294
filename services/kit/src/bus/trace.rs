//! The span of handling one message: begun when it was pulled, ended when it is settled.

use opentelemetry::KeyValue;
use proto::events::headers;

use super::{durable::Durable, held::Held};
use crate::{
    clock::Timestamp,
    propagation,
    telemetry::{
        names,
        span::{self, Lineage},
    },
};

/// Begins the `process` span and makes its context the delivery's.
pub(super) fn begin(held: &mut Held, durable: &Durable, now: Timestamp) {
    let delivered = held.delivered;
    let delivery = &mut held.delivery;
    let creation = propagation::extract_nats(delivery.headers());
    // A replay goes under a message id of its own, so that the duplicate window does not swallow it.
    let lineage = match delivery.header(headers::MESSAGE_ID) == delivery.event_id() {
        true => Lineage::Aged(now.since(delivery.stored_at)),
        false => Lineage::Replayed,
    };
    let attributes = [
        KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::PROCESS),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::PROCESS),
        KeyValue::new(
            names::MESSAGING_DESTINATION_NAME,
            delivery.subject().to_owned(),
        ),
        KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, durable.name.clone()),
        KeyValue::new(
            names::MESSAGING_MESSAGE_ID,
            delivery.header(headers::MESSAGE_ID).to_owned(),
        ),
        KeyValue::new(names::USHER_EVENT_ID, delivery.event_id().to_owned()),
        KeyValue::new(names::MESSAGING_NATS_STREAM, durable.stream.name),
        KeyValue::new(
            names::MESSAGING_NATS_STREAM_SEQUENCE,
            delivery.source.sequence,
        ),
        KeyValue::new(names::MESSAGING_NATS_DELIVERY_COUNT, delivered),
    ];
    let name = names::messaging_span(names::PROCESS, delivery.subject());
    delivery.context = span::process(name, &creation, lineage, attributes);
}
