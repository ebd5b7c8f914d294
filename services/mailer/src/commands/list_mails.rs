//! Lists attempts for operators, newest first, a page at a time.

use kit::{
    Violation,
    db::{Db, StoreError},
    page::{Page, PageToken},
};
use uuid::Uuid;

use super::PastAttempt;
use crate::store::attempts;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ListMailsError {
    #[error("the request has invalid fields")]
    Invalid(Vec<Violation>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The attempts of a page, of one mail or of all, and what leads to the next one; nothing on the
/// last.
pub(crate) async fn list_mails(
    db: &Db,
    page_size: u32,
    page_token: &str,
    code_id: Option<Uuid>,
) -> Result<(Vec<PastAttempt>, Option<PageToken>), ListMailsError> {
    let page = Page::parse(page_size, page_token).map_err(ListMailsError::Invalid)?;
    let found = attempts::newest_first(db.reader(), code_id, page.after(), page.limit()).await;
    let mut attempts = found.map_err(StoreError::from)?;
    let next = page.cut(&mut attempts, |attempt| PageToken {
        at: attempt.ended_at,
        id: attempt.id,
    });
    Ok((attempts, next))
}
