//! Reads one account.

use kit::db::{Db, StoreError};
use uuid::Uuid;

use super::Account;
use crate::store::accounts;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum GetAccountError {
    #[error("there is no account with this id")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account as it is now.
pub(crate) async fn get_account(db: &Db, id: Uuid) -> Result<Account, GetAccountError> {
    let found = accounts::by_ids(db.reader(), [id])
        .await
        .map_err(StoreError::from)?;
    found.into_iter().next().ok_or(GetAccountError::NotFound)
}
