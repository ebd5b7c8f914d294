//! Lists accounts page by page, newest first, for operators.

use kit::{
    Violation,
    db::{Db, StoreError},
    page::{Page, PageToken},
};

use super::Account;
use crate::store::accounts;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ListAccountsError {
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts of a page, and what leads to the next one; nothing on the last.
pub(crate) async fn list_accounts(
    db: &Db,
    page_size: u32,
    page_token: &str,
) -> Result<(Vec<Account>, Option<PageToken>), ListAccountsError> {
    let page = Page::parse(page_size, page_token).map_err(ListAccountsError::Invalid)?;
    let found = accounts::newest_first(db.reader(), page.after(), page.limit()).await;
    let mut accounts = found.map_err(StoreError::from)?;
    let next = page.cut(&mut accounts, |account| PageToken {
        at: account.created_at,
        id: account.id,
    });
    Ok((accounts, next))
}
