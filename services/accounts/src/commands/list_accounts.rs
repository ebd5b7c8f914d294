//! Lists accounts page by page, newest first, for operators.

use kit::db::Db;

use super::{Account, StoreError, Violation};
use crate::{domain::PageToken, store::accounts};

const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 500;

/// Which page.
#[derive(Debug, Clone, Copy)]
pub struct ListAccounts {
    size: u32,
    after: Option<PageToken>,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Newest first.
    pub accounts: Vec<Account>,
    /// Leads to the next page; none on the last.
    pub next: Option<PageToken>,
}

/// Why there is no page to show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListAccountsError {
    /// Parts of the request are not well-formed.
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    /// The store's part was not done.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ListAccounts {
    /// Parses a request. A size of 0 means 50, an empty token the first page.
    ///
    /// # Errors
    /// `Invalid`, with all that is wrong.
    pub fn parse(size: u32, token: &str) -> Result<Self, ListAccountsError> {
        let mut violations = Vec::new();
        if size > LARGEST_SIZE {
            violations.push(("page_size", format!("must be at most {LARGEST_SIZE}")));
        }
        let token = (!token.is_empty())
            .then(|| PageToken::parse(token))
            .transpose();
        match token {
            Ok(after) if violations.is_empty() => Ok(Self {
                size: if size == 0 { DEFAULT_SIZE } else { size },
                after,
            }),
            token => {
                violations.extend(token.err().map(|why| ("page_token", why.to_string())));
                Err(ListAccountsError::Invalid(violations))
            }
        }
    }
}

/// The page. One account more than asked for is read, which tells whether there is another page.
///
/// # Errors
/// The store's.
pub async fn list_accounts(db: &Db, page: ListAccounts) -> Result<Page, ListAccountsError> {
    let ListAccounts { size, after } = page;
    let after = after.map(|token| (token.created_at, token.id));
    let limit = u64::from(size) + 1;
    let mut accounts = accounts::newest_first(db.reader(), after, limit)
        .await
        .map_err(StoreError::from)?;
    let is_last = accounts.len() <= size as usize;
    accounts.truncate(size as usize);
    let last = accounts.last().filter(|_| !is_last);
    let next = last.map(|account| PageToken {
        created_at: account.created_at,
        id: account.id,
    });
    Ok(Page { accounts, next })
}
