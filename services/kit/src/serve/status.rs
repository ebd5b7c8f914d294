//! Refusals that a caller can act on: gRPC statuses with `google.rpc` details.

use std::{fmt::Display, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use crate::{Violation, db::StoreError};

/// `google.rpc.ErrorInfo.domain` of every reason.
const DOMAIN: &str = "usher";

/// INVALID_ARGUMENT that names each refused field and says what to change.
pub fn invalid_argument(violations: &[Violation]) -> Status {
    let mut details = ErrorDetails::new();
    for (field, why) in violations {
        details.add_bad_request_violation(*field, why.clone());
    }
    let all: Vec<_> = violations
        .iter()
        .map(|(field, why)| format!("{field}: {why}"))
        .collect();
    Status::with_error_details(Code::InvalidArgument, all.join("; "), details)
}

/// A text is no UUID in the form that programs are to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11")]
pub struct InvalidUuid;

/// Reads a UUID in its hyphenated form, RFC 9562 §4, and no other.
///
/// # Errors
/// When it is none.
pub fn parse_uuid(text: &str) -> Result<Uuid, InvalidUuid> {
    let id = Uuid::try_parse(text).ok();
    // The parser also takes braces, URNs and bare digits: one id would have four spellings, and
    // what is logged or compared as a text would not match.
    id.filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
        .ok_or(InvalidUuid)
}

/// Takes the id in `field` as a program sent it, by `parse_uuid`.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn uuid(field: &'static str, text: &str) -> Result<Uuid, Status> {
    parse_uuid(text).map_err(|why| invalid_argument(&[(field, why.to_string())]))
}

/// A refusal with a reason that programs can compare, in upper-case words with underscores.
pub fn refused(code: Code, message: &str, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    Status::with_error_details(code, message, details)
}

/// RESOURCE_EXHAUSTED, reason TRY_LATER, with the time after which to come back.
pub fn retry_after(message: &str, wait: Duration) -> Status {
    Status::with_error_details(Code::ResourceExhausted, message, later("TRY_LATER", wait))
}

/// UNAVAILABLE, reason UNAVAILABLE: the same call may succeed in a moment.
pub fn unavailable(message: &str) -> Status {
    Status::with_error_details(
        Code::Unavailable,
        message,
        later("UNAVAILABLE", Duration::from_secs(1)),
    )
}

/// UNAVAILABLE with a reason: here the call cannot succeed before `wait` is over, elsewhere it may.
pub fn unavailable_here(message: &str, reason: &str, wait: Duration) -> Status {
    Status::with_error_details(Code::Unavailable, message, later(reason, wait))
}

const OURS: &str = "Something went wrong on our side. It has been logged.";

/// What a caller is told of a store that did not do its part: UNAVAILABLE with `away`, or INTERNAL
/// with a fixed text. The cause is logged here, once.
pub fn store_failed(error: &StoreError, away: &str) -> Status {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%error, "The database is away; a call was refused.");
            unavailable(away)
        }
        StoreError::Unexpected(_) => {
            tracing::error!(%error, "The database refused a command.");
            Status::internal(OURS)
        }
    }
}

/// INTERNAL with a fixed text. The cause, which is nobody's business but ours, is logged here,
/// once.
pub fn internal(cause: &impl Display) -> Status {
    tracing::error!(error = %cause, "A call failed for a reason of our own.");
    Status::internal(OURS)
}

/// A refusal as a message, for one of many answers on a stream: gRPC has a status for all of it only.
pub fn to_message(status: &Status) -> tonic_types::Status {
    // The details that gRPC carries are that message, once more with code and text.
    let details = tonic_types::Status::decode(status.details()).unwrap_or_default();
    tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: details.details,
    }
}

/// The refusal that a message holds.
pub fn from_message(message: &tonic_types::Status) -> Status {
    let details = message.encode_to_vec().into();
    Status::with_details(Code::from_i32(message.code), &message.message, details)
}

fn later(reason: &str, wait: Duration) -> ErrorDetails {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    details.set_retry_info(Some(wait));
    details
}
