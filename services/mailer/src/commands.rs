//! What the mailer does, a use case a file, beside what several share: the `answer` and the `trace`
//! of a mail. `grpc` decodes for them and encodes what they answer. `deliver` is the story;
//! `look_up`, `claim` and `record_outcome` are its steps in the ledger, the latter two in `rounds`,
//! shared by all mails that take them at once.

mod answer;
pub(crate) mod claim;
pub(crate) mod deliver;
pub(crate) mod end_stale_claims;
pub(crate) mod forget_mails;
pub(crate) mod keep_leases;
pub(crate) mod list_mails;
pub(crate) mod look_up;
pub(crate) mod notes;
pub(crate) mod preview;
pub(crate) mod record_outcome;
pub(crate) mod refuse;
pub(crate) mod rounds;
mod trace;

use kit::{
    db::{StoreError, is_away},
    group::Refused,
};
use sea_orm::DbErr;

pub(crate) use self::answer::Answer;
pub(crate) use crate::store::{Outcome, PastAttempt};

/// Commands of one step that may wait; more than all streams together hold.
const QUEUE: usize = 16 * 1024;
/// Commands of one step in one transaction.
const BATCH: usize = 256;

/// What each command of such a transaction is told.
type Each<T> = Vec<Result<T, StoreError>>;

/// The ledger could not be asked or told. The cause was logged once, for all who were in the same
/// transaction.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LedgerError {
    /// A full queue or a stopped worker mean what an absent database means: later.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every way in which a call fails, for the one place that tells callers. A mail on a stream is
/// answered in any case: what keeps it from being tried is a result, not a status.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum CommandError {
    ListMails(#[from] list_mails::ListMailsError),
    Preview(#[from] preview::PreviewError),
}

/// Logs why a step's transaction failed, once for all who were in it.
fn log(error: &DbErr) {
    match is_away(error) {
        true => tracing::warn!(%error, "The ledger's database does not answer; mails wait."),
        false => tracing::error!(%error, "The ledger's database refused a statement."),
    }
}
