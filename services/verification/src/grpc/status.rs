//! What a caller is told when a command fails: a code for programs, a sentence for people, details
//! for both. What is nobody's business but ours is logged here, once, and told as a fixed text.

use std::time::Duration;

use kit::serve;
use tonic::{Code, Status};

use crate::commands::{
    CommandError, READ_EVERY, confirm_code::ConfirmCodeError, count_codes::CountCodesError,
    get_verification::GetVerificationError, issue_first_code::IssueFirstCodeError,
    resend_code::ResendCodeError,
};

/// The one map from errors to statuses.
pub(super) fn status(error: impl Into<CommandError>) -> Status {
    use ConfirmCodeError as Confirm;
    use GetVerificationError as Get;
    use IssueFirstCodeError as Issue;
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
        CommandError::ConfirmCode(Confirm::KeyUnknown(id)) => {
            tracing::warn!(
                key.id = id,
                "A live code's key is not in this replica's key ring; a guess was refused."
            );
            let message = format!(
                "This replica of verification does not know the key {id}, from which the code was \
                 made. Nothing was counted; another replica can check it."
            );
            // By then the ring's file has been read again.
            serve::unavailable_here(&message, "KEY_UNKNOWN", READ_EVERY)
        }
        CommandError::GetVerification(Get::NotFound) => serve::refused(
            Code::NotFound,
            "No verification of this account has begun yet. If somebody has just signed up, try again in a moment.",
            "UNKNOWN",
        ),
        CommandError::IssueFirstCode(Issue::Invalid(violations)) => {
            serve::invalid_argument(&violations)
        }
        CommandError::IssueFirstCode(Issue::TooOld) => {
            let why = "the account is older than 30 days: what was erased may not come back";
            serve::invalid_argument(&[("account_created_at", why.to_owned())])
        }
        CommandError::IssueFirstCode(Issue::Busy) => serve::retry_after(
            "Too many calls are waiting. Nothing was stored; try again in a second.",
            AGAIN,
        ),
        CommandError::IssueFirstCode(Issue::Stopping) => serve::unavailable(
            "The service is shutting down. Nothing was stored; try again in a moment.",
        ),
        CommandError::IssueFirstCode(Issue::Late) => serve::unavailable(NOT_IN_TIME),
        CommandError::ResendCode(Resend::TooOften(wait)) => {
            serve::retry_after("Another code was asked for too often; wait a little.", wait)
        }
        CommandError::ConfirmCode(Confirm::Busy) | CommandError::ResendCode(Resend::Busy) => {
            serve::retry_after("Too much is asked at once.", AGAIN)
        }
        CommandError::ConfirmCode(Confirm::Store(error))
        | CommandError::GetVerification(Get::Store(error))
        | CommandError::IssueFirstCode(Issue::Store(error))
        | CommandError::ResendCode(Resend::Store(error))
        | CommandError::CountCodes(CountCodesError(error)) => {
            serve::store_failed(&error, DATABASE_AWAY)
        }
    }
}

/// When a caller for whom there was no room may come again.
const AGAIN: Duration = Duration::from_secs(1);
/// What became of a commit whose answer was lost nobody knows: hence no word of it.
const DATABASE_AWAY: &str = "The database does not answer. Try again in a moment.";
/// The same of one that may yet come: a caller that repeats it changes nothing.
const NOT_IN_TIME: &str = "The database is slow or locked, and may store this yet. Try again in a moment: what was stored is found again.";
