//! What a caller is told when a command fails: a code for programs, a sentence for people, details
//! for both. What is nobody's business but ours is logged here, once, and told as a fixed text.

use kit::serve;
use tonic::{Code, Status};

use crate::commands::{
    CommandError, confirm_code::ConfirmCodeError, get_verification::GetVerificationError,
    resend_code::ResendCodeError,
};

/// The one map from errors to statuses.
pub(super) fn status(error: impl Into<CommandError>) -> Status {
    use ConfirmCodeError as Confirm;
    use GetVerificationError as Get;
    use ResendCodeError as Resend;

    match error.into() {
        CommandError::ConfirmCode(Confirm::Invalid(violation))
        | CommandError::ResendCode(Resend::Invalid(violation)) => {
            serve::invalid_argument(&[violation])
        }
        CommandError::ConfirmCode(Confirm::NotFound) => serve::refused(
            Code::NotFound,
            "There is no such account or code.",
            "UNKNOWN",
        ),
        CommandError::ConfirmCode(Confirm::OtherLength(length)) => {
            let why = format!("the code has {length} digits; spaces and hyphens do not matter");
            serve::invalid_argument(&[("code", why)])
        }
        CommandError::ConfirmCode(Confirm::KeyMissing(id)) => {
            tracing::error!(
                key.id = id,
                "A live code's key is not in this process's key ring; guesses are refused."
            );
            serve::unavailable(
                "The code cannot be checked just now, and nothing was counted. Try again in a moment.",
            )
        }
        CommandError::GetVerification(Get::NotFound) => serve::refused(
            Code::NotFound,
            "No verification of this account has begun yet. If somebody has just signed up, try again in a moment.",
            "UNKNOWN",
        ),
        CommandError::ResendCode(Resend::TooOften(wait)) => {
            serve::retry_after("Another code was asked for too often; wait a little.", wait)
        }
        CommandError::ConfirmCode(Confirm::Store(error))
        | CommandError::GetVerification(Get::Store(error))
        | CommandError::ResendCode(Resend::Store(error)) => {
            serve::store_failed(&error, DATABASE_AWAY)
        }
    }
}

/// What became of a commit whose answer was lost nobody knows: hence no word of it.
const DATABASE_AWAY: &str = "The database does not answer. Try again in a moment.";
