//! Reads one account.

use kit::db::Db;
use uuid::Uuid;

use super::{Account, StoreError, Violation};
use crate::store::accounts;

/// Why there is no account to show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GetAccountError {
    /// The id is none.
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    /// No account has this id.
    #[error("there is no account with this id")]
    NotFound,
    /// The store's part was not done.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes an account's id as a program sent it.
///
/// # Errors
/// `Invalid` if it is no UUID in hyphenated form.
pub fn parse_id(id: &str) -> Result<Uuid, GetAccountError> {
    let hyphenated = id.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(id)
        .ok()
        .filter(|_| hyphenated)
        .ok_or_else(|| {
            let why = "must be a UUID such as 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11";
            GetAccountError::Invalid(vec![("account_id", why.to_owned())])
        })
}

/// The account as it is now.
///
/// # Errors
/// `NotFound`, or the store's.
pub async fn get_account(db: &Db, id: Uuid) -> Result<Account, GetAccountError> {
    let found = accounts::by_ids(db.reader(), [id])
        .await
        .map_err(StoreError::from)?;
    found.into_iter().next().ok_or(GetAccountError::NotFound)
}
