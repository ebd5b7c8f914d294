//! What a caller is told when a command fails: a code for programs, a sentence for people, details
//! for both. What is nobody's business but ours is logged here, once, and told as a fixed text.

use std::time::Duration;

use kit::serve;
use tonic::{Code, Status};

use crate::commands::{
    CommandError, create_account::CreateAccountError, get_account::GetAccountError,
    list_accounts::ListAccountsError,
};

/// The one map from errors to statuses.
pub(super) fn status(error: impl Into<CommandError>) -> Status {
    use CreateAccountError as Create;
    use GetAccountError as Get;
    use ListAccountsError as List;

    match error.into() {
        CommandError::CreateAccount(Create::Invalid(violations))
        | CommandError::ListAccounts(List::Invalid(violations)) => {
            serve::invalid_argument(&violations)
        }
        CommandError::CreateAccount(Create::AddressTaken) => serve::refused(
            Code::AlreadyExists,
            "An account with this email address exists already. As long as it is not confirmed, ResendCode to the address sends a new code there, and whoever reads that mail can confirm the account by its link.",
            "ADDRESS_TAKEN",
        ),
        CommandError::CreateAccount(Create::KeyReused) => serve::refused(
            Code::InvalidArgument,
            "This idempotency-key was used for another request. Use a new key for each new request.",
            "IDEMPOTENCY_KEY_REUSED",
        ),
        CommandError::CreateAccount(Create::Busy) => serve::retry_after(
            "Too many sign-ups are waiting. Nothing was stored; try again in a second.",
            Duration::from_secs(1),
        ),
        CommandError::CreateAccount(Create::Late) => serve::retry_after(
            "The database is slow or locked, and could not store this in time. Nothing was stored; try again in a second.",
            Duration::from_secs(1),
        ),
        CommandError::CreateAccount(Create::Stopping) => serve::unavailable(
            "The service is shutting down. Nothing was stored; try again in a moment.",
        ),
        CommandError::CreateAccount(Create::Lost) => serve::unavailable(DATABASE_AWAY),
        CommandError::GetAccount(Get::NotFound) => serve::refused(
            Code::NotFound,
            "There is no account with this account_id.",
            "ACCOUNT_NOT_FOUND",
        ),
        CommandError::CreateAccount(Create::Store(error))
        | CommandError::GetAccount(Get::Store(error))
        | CommandError::ListAccounts(List::Store(error)) => {
            serve::store_failed(&error, DATABASE_AWAY)
        }
    }
}

/// What ends a batch of sign-ups before its caller does.
#[derive(Debug)]
pub(super) enum Cut {
    /// The connection is to end.
    SentAway,
    /// The stream's own deadline is over.
    TooLate,
    /// No item came for so long.
    Silent(Duration),
    /// No result was taken for so long.
    Untaken(Duration),
    /// What came is no item, or too long; or the caller is gone.
    Unreadable(Status),
}

/// What the caller of a batch is told that was ended before it was done. Items without a result were
/// not stored, but for a caller that does not take them.
pub(super) fn cut(cut: Cut) -> Status {
    match cut {
        Cut::SentAway => serve::unavailable(
            "The connection has grown old, or the service is shutting down. Items without a result were not stored: send them again on a new stream.",
        ),
        Cut::TooLate => serve::refused(
            Code::DeadlineExceeded,
            "The stream's deadline is over. Items without a result were not stored: send them again on a new stream.",
            "DEADLINE",
        ),
        Cut::Silent(silent) => serve::refused(
            Code::DeadlineExceeded,
            &format!(
                "Nothing was sent for {silent:?}. Every item that was sent has its result. Open a new stream for further ones; end your side of it after the last."
            ),
            "STREAM_SILENT",
        ),
        Cut::Untaken(untaken) => serve::refused(
            Code::DeadlineExceeded,
            &format!(
                "No result was taken for {untaken:?}: take them while you send. What was stored stays, and is answered again to the same idempotency key."
            ),
            "RESULTS_NOT_TAKEN",
        ),
        Cut::Unreadable(status) => serve::explained_size(&status).unwrap_or(status),
    }
}

/// What became of a commit whose answer was lost nobody knows: hence the advice.
const DATABASE_AWAY: &str =
    "The database does not answer. Try again in a moment; an idempotency-key makes that safe.";
