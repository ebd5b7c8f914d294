//! Refuses a mail that cannot be made, and remembers that, so that its key is used up.

use kit::{
    clock::{Clock, Timestamp},
    db::{Db, StoreError},
};
use opentelemetry::Context;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Answer, Outcome, PastAttempt, trace};
use crate::{
    domain::{LocaleTag, TEMPLATE},
    store::{
        attempts,
        mails::{self, LedgerState},
    },
};

/// A mail that cannot be made, with as much of it as can be kept.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The mail's key; without one there is nothing to remember it by.
    pub(crate) code_id: Option<Uuid>,
    pub(crate) account_id: Uuid,
    pub(crate) locale: LocaleTag,
    /// When its code stops working; now, if that is what is wrong with it.
    pub(crate) expires_at: Option<Timestamp>,
    /// Which field is wrong, and how; no value is in it.
    pub(crate) reason: String,
}

/// Commits a final row, unless there is one already.
pub(crate) async fn refuse(
    db: &Db,
    clock: &Clock,
    unusable: Unusable,
) -> Result<Answer, StoreError> {
    let answer = Answer {
        outcome: Some(Outcome::Invalid),
        reason: unusable.reason.clone(),
        ..Answer::default()
    };
    if let Some(code_id) = unusable.code_id {
        let written = write(db, clock, code_id, unusable).await;
        written.inspect_err(super::log)?;
    }
    Ok(answer)
}

async fn write(db: &Db, clock: &Clock, code_id: Uuid, unusable: Unusable) -> Result<(), DbErr> {
    let tx = db.write("refuse a mail").await?;
    let now = tx.now();
    // Without an address, which may be what is wrong: the row uses the key up for any. One that is
    // there already stays as it is: whoever made it decides about the key.
    let row = mails::Model {
        code_id,
        account_id: unusable.account_id,
        template: TEMPLATE.to_owned(),
        locale: unusable.locale.as_str().to_owned(),
        address_mac: Vec::new(),
        address_key_id: String::new(),
        state: LedgerState::Invalid,
        claim_no: 1,
        claimed_until: now,
        unknown_attempts: 0,
        reason: unusable.reason.clone(),
        ended_at: Some(now),
        keep_until: mails::keep_until(unusable.expires_at.unwrap_or(now)),
    };
    // An attempt is told only of a row that is new: the same broken offer may come again and again.
    if !mails::insert(&tx, vec![row]).await?.is_empty() {
        let attempt = PastAttempt {
            id: clock.uuid_v7(),
            code_id,
            account_id: unusable.account_id,
            attempt: 1,
            outcome: Outcome::Invalid,
            reply: unusable.reason,
            ended_at: now,
            trace_id: trace::trace_id(&Context::current()),
        };
        attempts::insert(&tx, vec![attempt]).await?;
    }
    tx.commit().await
}
