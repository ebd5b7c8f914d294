//! The events that verification states, encoded. `ConfirmCode` puts them into the outbox.

use kit::{clock::Timestamp, outbox::Record};
use opentelemetry::Context;
use proto::verification::AccountVerified;
use uuid::Uuid;

/// The account's code was confirmed at `at`. `context` is the event's creation context.
pub(crate) fn account_verified(id: Uuid, account_id: Uuid, at: Timestamp, context: &Context) -> Record {
    let event = AccountVerified { account_id: account_id.to_string(), verified_at: Some(at.into()) };
    Record::new(id, account_id, &event, at, context)
}
