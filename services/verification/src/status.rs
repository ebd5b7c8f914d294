//! The one place where errors become gRPC statuses. A cause that no caller can act on is logged here, once.

use kit::serve;
use tonic::{Code, Status};

use crate::commands::{ConfirmError, Failed, ResendError};

/// Why a guess was not judged.
pub(crate) fn confirm(error: ConfirmError) -> Status {
    match error {
        ConfirmError::Unknown => unknown("There is no such account or code."),
        ConfirmError::Malformed(digits) => invalid(
            "code",
            &format!("the code has {digits} digits; spaces and hyphens do not matter"),
        ),
        ConfirmError::KeyMissing(id) => {
            tracing::error!(
                key.id = id,
                "A live code's key is not in this process's key ring; guesses are refused."
            );
            serve::unavailable("The code cannot be checked just now; nothing was counted.")
        }
        ConfirmError::Failed(failed) => unexpected(&failed),
    }
}

/// Why a resend was not taken.
pub(crate) fn resend(error: ResendError) -> Status {
    match error {
        ResendError::Limited(wait) => {
            serve::retry_after("Another code was asked for too often; wait a little.", wait)
        }
        ResendError::Failed(failed) => unexpected(&failed),
    }
}

/// What no caller can act on, or only by coming back.
pub(crate) fn unexpected(failed: &Failed) -> Status {
    match failed {
        Failed::Away(error) => {
            tracing::warn!(%error, "The database does not answer; a call was refused.");
            serve::unavailable("The database does not answer; nothing was changed.")
        }
        Failed::Unexpected(error) => {
            tracing::error!(%error, "A call failed.");
            Status::internal("Something went wrong here; it has been logged.")
        }
    }
}

/// There is no such thing.
pub(crate) fn unknown(message: &str) -> Status {
    serve::refused(Code::NotFound, message, "UNKNOWN")
}

/// One field is wrong.
pub(crate) fn invalid(field: &'static str, why: &str) -> Status {
    serve::invalid_argument(&[(field, why.to_owned())])
}
