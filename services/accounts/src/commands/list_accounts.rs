//! Lists accounts page by page, newest first, for operators.

use kit::{
    Private, Violation,
    db::{Db, StoreError},
    page::{Page, PageToken},
};

use super::{Account, Status};
use crate::{
    domain::EmailAddress,
    store::accounts::{self, Span},
};

/// Rows that one call looks through for a status. There is no index by status: each sign-up and
/// each confirmation would pay for it, where an operator can ask once more.
const LOOKED_THROUGH: u64 = 5_000;

/// Which accounts, as a caller asks for them.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) page_size: u32,
    pub(crate) page_token: String,
    /// Nothing means all.
    pub(crate) status: Option<Status>,
    /// Nothing means all.
    pub(crate) email: Private<String>,
}

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
    wanted: &Wanted,
) -> Result<(Vec<Account>, Option<PageToken>), ListAccountsError> {
    let (page, email) = parse(wanted).map_err(ListAccountsError::Invalid)?;
    let (reader, after) = (db.reader(), page.after());
    if let Some(email) = email {
        let found = accounts::by_address(reader, email.key()).await;
        let mut accounts = Vec::from_iter(found.map_err(StoreError::from)?);
        accounts.retain(|account| wanted.status.is_none_or(|status| account.status == status));
        return Ok((accounts, None));
    }
    // Bounds what a call reads where few accounts stand as they are wanted to.
    let end = match wanted.status {
        Some(_) => accounts::nth(reader, after, LOOKED_THROUGH).await,
        None => Ok(None),
    };
    let end = end.map_err(StoreError::from)?;
    let span = Span {
        after,
        end,
        status: wanted.status,
    };
    let found = accounts::newest_first(reader, span, page.limit()).await;
    let mut accounts = found.map_err(StoreError::from)?;
    let next = page.cut(&mut accounts, |account| PageToken {
        at: account.created_at,
        id: account.id,
    });
    Ok((accounts, next.or(end)))
}

fn parse(wanted: &Wanted) -> Result<(Page, Option<EmailAddress>), Vec<Violation>> {
    let page = Page::parse(wanted.page_size, &wanted.page_token);
    let email = match wanted.email.expose().as_str() {
        "" => Ok(None),
        email => EmailAddress::parse(email).map(Some),
    };
    match (page, email) {
        (Ok(page), Ok(email)) => Ok((page, email)),
        (page, email) => {
            let mut violations = page.err().unwrap_or_default();
            violations.extend(email.err().map(|why| ("email", why.to_string())));
            Err(violations)
        }
    }
}
