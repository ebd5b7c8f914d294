//! What accounts can do, a use case a file. `grpc` and `consumer` call these; they know the domain,
//! the store and the dispatcher, and nothing of how they were called. Each that writes opens and
//! commits its own transaction.

pub(crate) mod create_account;
pub(crate) mod forget_keys;
pub(crate) mod get_account;
pub(crate) mod list_accounts;
pub(crate) mod verify_accounts;
pub(crate) mod watch_account;

pub(crate) use crate::{
    dispatch::MailOutcome,
    store::{Account, Status},
};

/// Every way in which a command that callers wait for fails, for the one place that tells them.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) enum CommandError {
    CreateAccount(#[from] create_account::CreateAccountError),
    GetAccount(#[from] get_account::GetAccountError),
    ListAccounts(#[from] list_accounts::ListAccountsError),
}
