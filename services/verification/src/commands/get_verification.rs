//! Reads one account's verification as it is shown.

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
};
use sea_orm::{ActiveEnum as _, DbErr};
use uuid::Uuid;

use crate::store::{self, Code, Verification, history};

/// A verification for people. Holds neither an address nor digits.
#[derive(Debug, Clone)]
pub(crate) struct ShownVerification {
    pub(crate) account_id: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) verified_at: Option<Timestamp>,
    /// Newest first.
    pub(crate) codes: Vec<Code>,
    /// Oldest first.
    pub(crate) history: Vec<Happened>,
}

#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) at: Timestamp,
    pub(crate) code_id: Option<Uuid>,
    pub(crate) what: String,
    pub(crate) detail: String,
}

/// Why there is no verification to show.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum GetVerificationError {
    /// AccountCreated has not arrived, or there is no such account.
    #[error("no verification of this account has begun")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) async fn get_verification(
    db: &Db,
    account_id: Uuid,
) -> Result<ShownVerification, GetVerificationError> {
    let found = read(db, account_id).await.map_err(StoreError::from)?;
    let (_, shown) = found.ok_or(GetVerificationError::NotFound)?;
    Ok(shown)
}

/// The verification with its version, by which `watch_verification` sees that it has changed.
pub(super) async fn read(
    db: &Db,
    account_id: Uuid,
) -> Result<Option<(i64, ShownVerification)>, DbErr> {
    let reader = db.reader();
    // The version first: what changes while the rest is read is shown now, and once more under its
    // own version.
    let versions = store::codes::versions(reader, vec![account_id]).await?;
    let verification = store::verifications::find(reader, account_id).await?;
    let (Some((_, version)), Some(verification)) = (versions.into_iter().next(), verification)
    else {
        return Ok(None);
    };
    let codes = store::codes::shown(reader, account_id).await?;
    let facts = history::shown(reader, account_id).await?;
    let shown = ShownVerification {
        account_id,
        created_at: verification.created_at,
        verified_at: verification.verified_at,
        history: history_of(&verification, &codes, facts),
        codes,
    };
    Ok(Some((version, shown)))
}

/// What the history table holds, together with what the other rows say themselves.
fn history_of(
    verification: &Verification,
    codes: &[Code],
    facts: Vec<history::Model>,
) -> Vec<Happened> {
    let mut happened = Vec::with_capacity(facts.len() + 2 * codes.len() + 1);
    for fact in facts.into_iter().rev() {
        let history::Model {
            at,
            code_id,
            what,
            detail,
            ..
        } = fact;
        happened.push(Happened {
            at,
            code_id,
            what: what.to_value(),
            detail,
        });
    }
    let mut tell = |at: Option<Timestamp>, code_id, what: &str| {
        let (what, detail) = (what.to_owned(), String::new());
        happened.extend(at.map(|at| Happened {
            at,
            code_id,
            what,
            detail,
        }));
    };
    // The history does not repeat what the rows say themselves: it could only come to say something
    // else.
    for code in codes.iter().rev() {
        tell(Some(code.created_at), Some(code.id), "code_issued");
        tell(code.accepted_at, Some(code.id), "mail_accepted");
    }
    tell(verification.verified_at, None, "verified");
    happened.sort_by_key(|entry| entry.at); // stable: what one transaction wrote stays in its order
    let surplus = happened.len().saturating_sub(history::SHOWN);
    happened.split_off(surplus)
}
