//! The events that verification states, encoded. `ConfirmCode` puts them into the outbox.

use kit::{
    clock::Timestamp,
    outbox::Record,
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue};
use proto::{events::Event as _, verification::AccountVerified};
use uuid::Uuid;

/// The event that the account's code was confirmed at `at`, and its `create` span, which is the
/// caller's to end.
pub(crate) fn account_verified(
    id: Uuid,
    account_id: Uuid,
    at: Timestamp,
    parent: &Context,
) -> (Record, Context) {
    let attributes = [
        KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::CREATE),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::CREATE),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, AccountVerified::SUBJECT),
        KeyValue::new(names::USHER_EVENT_ID, id.to_string()),
        KeyValue::new(names::USHER_ACCOUNT_ID, account_id.to_string()),
    ];
    let name = names::messaging_span(names::CREATE, AccountVerified::SUBJECT);
    let creation = span::producer(name, parent, attributes);
    let event = AccountVerified {
        account_id: account_id.to_string(),
        verified_at: Some(at.into()),
    };
    (Record::new(id, account_id, &event, at, &creation), creation)
}
