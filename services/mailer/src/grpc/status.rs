//! What a caller is told when a call fails: a code for programs, a sentence for people. What is nobody's business but
//! ours is logged here, once, and told as a fixed text.

use std::fmt::Display;

use kit::{db::StoreError, serve};
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
        CommandError::ListMails(List::Store(StoreError::Unavailable(_))) => {
            serve::unavailable("The mailer's database does not answer.")
        }
        CommandError::ListMails(List::Store(StoreError::Unexpected(cause))) => unexpected(&cause),
        CommandError::Preview(PreviewError::Unmailable(cause)) => unexpected(&cause),
    }
}

fn unexpected(cause: &impl Display) -> Status {
    tracing::error!(error = %cause, "A call failed for a reason of our own.");
    Status::internal("The mailer failed; its log says why.")
}
