//! ReadVerification: one account's verification as it is shown, and its version, by which a watcher sees that it has
//! changed.

use kit::clock::Timestamp;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Code, Commands, Failed};
use crate::store::{self, Verification, history::SHOWN};

/// A verification for people. Holds neither an address nor digits.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) account_id: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) verified_at: Option<Timestamp>,
    /// Newest first.
    pub(crate) codes: Vec<Code>,
    /// Oldest first.
    pub(crate) history: Vec<Happened>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) at: Timestamp,
    pub(crate) code_id: Option<Uuid>,
    pub(crate) what: String,
    pub(crate) detail: String,
}

impl Commands {
    /// The account's verification with its version; none when AccountCreated has not arrived.
    pub(crate) async fn read_verification(
        &self,
        account_id: Uuid,
    ) -> Result<Option<(i64, Shown)>, Failed> {
        let reader = self.db.reader();
        // The version first: what changes while the rest is read is shown now, and once more under its own version.
        let versions = store::codes::versions(reader, vec![account_id]).await?;
        let Some((_, version)) = versions.into_iter().next() else {
            return Ok(None);
        };
        let Some(person) = store::verifications::find(reader, account_id).await? else {
            return Ok(None);
        };
        let codes = store::codes::shown(reader, account_id).await?;
        let stored = store::history::shown(reader, account_id).await?;
        let history = history(&person, &codes, stored);
        let Verification {
            account_id,
            created_at,
            verified_at,
            ..
        } = person;
        Ok(Some((
            version,
            Shown {
                account_id,
                created_at,
                verified_at,
                codes,
                history,
            },
        )))
    }

    /// The versions of watched verifications.
    pub(crate) async fn versions(&self, accounts: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, DbErr> {
        store::codes::versions(self.db.reader(), accounts).await
    }
}

/// What the history table holds, together with what the other rows say themselves.
fn history(
    person: &Verification,
    codes: &[Code],
    stored: Vec<store::HistoryEntry>,
) -> Vec<Happened> {
    let mut all: Vec<Happened> = stored
        .into_iter()
        .rev()
        .map(|fact| Happened {
            at: fact.at,
            code_id: fact.code_id,
            what: fact.what,
            detail: fact.detail,
        })
        .collect();
    let told = |at, code_id, what: &str| Happened {
        at,
        code_id,
        what: what.to_owned(),
        detail: String::new(),
    };
    for code in codes.iter().rev() {
        all.push(told(code.created_at, Some(code.id), "code_issued"));
        all.extend(
            code.accepted_at
                .map(|at| told(at, Some(code.id), "mail_accepted")),
        );
    }
    all.extend(person.verified_at.map(|at| told(at, None, "verified")));
    all.sort_by_key(|entry| entry.at); // stable: what one transaction wrote stays in its order
    let surplus = all.len().saturating_sub(SHOWN);
    all.split_off(surplus)
}
