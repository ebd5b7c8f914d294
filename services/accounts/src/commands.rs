//! What accounts can do, a use case a file. `grpc` and `consumer` call these; they know the domain, the store and
//! the dispatcher, and nothing of how they were called.

pub mod create_account;
pub mod forget_keys;
pub mod get_account;
pub mod list_accounts;
pub mod verify_accounts;
pub mod watch_account;

use std::sync::Arc;

use sea_orm::DbErr;

pub use crate::{
    domain::Violation,
    store::{Account, Status},
};

/// The store did not do its part. Nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Locked, unreachable or out of space: the same command may succeed later.
    #[error("the database is away: {0}")]
    Unavailable(Arc<DbErr>),
    /// A bug, or data that the database refuses: the same command would only fail again.
    #[error("the database refused: {0}")]
    Unexpected(Arc<DbErr>),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match kit::db::is_away(&error) {
            true => Self::Unavailable(Arc::new(error)),
            false => Self::Unexpected(Arc::new(error)),
        }
    }
}

/// Every way in which a command of this service fails, for the one place that tells callers.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each names its command")]
pub enum CommandError {
    CreateAccount(#[from] create_account::CreateAccountError),
    GetAccount(#[from] get_account::GetAccountError),
    ListAccounts(#[from] list_accounts::ListAccountsError),
}
