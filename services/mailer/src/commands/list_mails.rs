//! Lists attempts for operators, newest first, a page at a time.

use kit::{clock::Timestamp, db::Db};
use uuid::Uuid;

use super::{PastAttempt, StoreError};
use crate::store::attempts;

const DEFAULT_SIZE: u32 = 50;
const LARGEST_SIZE: u32 = 500;

/// Which page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListMails {
    size: u32,
    after: Option<(Timestamp, Uuid)>,
    code_id: Option<Uuid>,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Newest first.
    pub(crate) attempts: Vec<PastAttempt>,
    /// Leads to the next page; empty on the last.
    pub(crate) next: String,
}

/// Why there is no page to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListMailsError {
    /// Parts of the request are not well-formed.
    #[error("the request has invalid fields")]
    Invalid(Vec<(&'static str, String)>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ListMails {
    /// Parses a request. A size of 0 means 50, an empty token the first page, an empty `code_id` all mails.
    ///
    /// # Errors
    /// `Invalid`, with all that is wrong.
    pub(crate) fn parse(size: u32, token: &str, code_id: &str) -> Result<Self, ListMailsError> {
        let mut violations = Vec::new();
        if size > LARGEST_SIZE {
            violations.push(("page_size", format!("must be at most {LARGEST_SIZE}")));
        }
        let mut page = Self {
            size: if size == 0 { DEFAULT_SIZE } else { size },
            after: None,
            code_id: None,
        };
        if !token.is_empty() {
            page.after = read(token);
            if page.after.is_none() {
                violations.push(("page_token", "is no token of a page before".to_owned()));
            }
        }
        if !code_id.is_empty() {
            page.code_id = Uuid::try_parse(code_id).ok();
            if page.code_id.is_none() {
                violations.push(("code_id", "must be a UUID".to_owned()));
            }
        }
        if violations.is_empty() {
            Ok(page)
        } else {
            Err(ListMailsError::Invalid(violations))
        }
    }
}

/// The page. One attempt more than asked for is read, which tells whether there is another page.
///
/// # Errors
/// The store's.
pub(crate) async fn list_mails(db: &Db, page: ListMails) -> Result<Page, ListMailsError> {
    let ListMails {
        size,
        after,
        code_id,
    } = page;
    let limit = u64::from(size) + 1;
    let mut attempts = attempts::newest_first(db.reader(), code_id, after, limit)
        .await
        .map_err(StoreError::from)?;
    let is_last = attempts.len() <= size as usize;
    attempts.truncate(size as usize);
    let last = attempts.last().filter(|_| !is_last);
    let next = last.map(|last| write((last.ended_at, last.id)));
    Ok(Page {
        next: next.unwrap_or_default(),
        attempts,
    })
}

/// A position as a token. Callers pass it on and read nothing into it.
fn write((at, id): (Timestamp, Uuid)) -> String {
    format!("{:x}-{}", at.0, id.simple())
}

fn read(token: &str) -> Option<(Timestamp, Uuid)> {
    let (at, id) = token.split_once('-')?;
    let at = Timestamp(i64::from_str_radix(at, 16).ok()?);
    Some((at, Uuid::try_parse(id).ok()?))
}
