//! Events as an outbox publishes them, without a service that does.

use async_nats::HeaderMap;
use bytes::Bytes;
use proto::events::{Event, headers};

use crate::bus::Bus;

/// The CloudEvents headers of an event under this id, about this account.
pub fn event_headers<E: Event>(id: &str, account_id: &str) -> HeaderMap {
    let mut all = HeaderMap::new();
    for (name, value) in [
        (headers::MESSAGE_ID, id),
        (headers::ID, id),
        (headers::TYPE, E::TYPE),
        (headers::SOURCE, E::SOURCE),
        (headers::SUBJECT, account_id),
        (headers::SPEC_VERSION, headers::SPEC_VERSION_1_0),
    ] {
        all.insert(name, value);
    }
    all
}

/// Publishes a message, and waits until the broker has it.
///
/// # Panics
/// When the broker does not take it.
pub async fn publish(bus: &Bus, subject: &'static str, all: HeaderMap, payload: impl Into<Bytes>) {
    let jetstream = bus.jetstream();
    let sent = jetstream.publish_with_headers(subject, all, payload.into());
    let acknowledged = sent.await.expect("the broker takes it").await;
    acknowledged.expect("the broker stores it");
}
