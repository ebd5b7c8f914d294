//! What a caller is told when a call fails: a code for programs, a sentence for people. What is
//! nobody's business but ours is logged here, once, and told as a fixed text.

use kit::serve;
use tonic::Status;

use crate::commands::{CommandError, list_mails::ListMailsError, preview::PreviewError};

/// The one map from errors to statuses.
pub(super) fn status(error: impl Into<CommandError>) -> Status {
    use ListMailsError as List;

    match error.into() {
        CommandError::ListMails(List::Invalid(violations))
        | CommandError::Preview(PreviewError::Invalid(violations)) => {
            serve::invalid_argument(&violations)
        }
        CommandError::ListMails(List::Store(error)) => serve::store_failed(&error, DATABASE_AWAY),
        CommandError::Preview(PreviewError::Unmailable(cause)) => serve::internal(&cause),
    }
}

const DATABASE_AWAY: &str = "The database does not answer. Try again in a moment.";
