//! What the other rows would forget. Facts that stand in a row already (a code was issued, its mail accepted, the
//! account verified) are read from there when the history is shown.

use kit::clock::Timestamp;
use sea_orm::{
    ActiveValue::Set, DatabaseTransaction, DbErr, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
};

use super::entities::history::{ActiveModel, Column, Entity, Model};

/// How much of it is shown.
pub(crate) const SHOWN: usize = 100;

/// What happened; its word is what the history holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A guess was wrong, and counted.
    GuessWrong,
    /// A guess was a superseded code, and counted.
    GuessSuperseded,
    /// Wrong guesses ended a code.
    CodeBurnt,
    /// A newer code replaced one.
    CodeSuperseded,
    /// Another code was asked for.
    ResendRequested,
    /// A mail could not be sent this time.
    MailAttemptFailed,
    /// The mail server refused the recipient.
    MailRejected,
    /// A mail was given up.
    MailUndelivered,
}

impl What {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::GuessWrong => "guess_wrong",
            Self::GuessSuperseded => "guess_superseded",
            Self::CodeBurnt => "code_burnt",
            Self::CodeSuperseded => "code_superseded",
            Self::ResendRequested => "resend_requested",
            Self::MailAttemptFailed => "mail_attempt_failed",
            Self::MailRejected => "mail_rejected",
            Self::MailUndelivered => "mail_undelivered",
        }
    }
}

/// One fact to be written.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) account_id: Uuid,
    pub(crate) code_id: Option<Uuid>,
    pub(crate) what: What,
    /// For people; no address, no digits.
    pub(crate) detail: String,
}

impl Fact {
    /// A fact about a code, without more to say.
    pub(crate) fn of_code(account_id: Uuid, code_id: Uuid, what: What) -> Self {
        Self {
            account_id,
            code_id: Some(code_id),
            what,
            detail: String::new(),
        }
    }
}

/// Appends facts.
pub(crate) async fn append(
    tx: &DatabaseTransaction,
    now: Timestamp,
    facts: Vec<Fact>,
) -> Result<(), DbErr> {
    if facts.is_empty() {
        return Ok(());
    }
    let rows = facts.into_iter().map(|fact| ActiveModel {
        account_id: Set(fact.account_id),
        code_id: Set(fact.code_id),
        at: Set(now),
        what: Set(fact.what.word().to_owned()),
        detail: Set(fact.detail),
        ..Default::default()
    });
    Entity::insert_many(rows)
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// When the account's guesses after `since` were counted: the newest `most`, newest first.
pub(crate) async fn guesses(
    db: &impl ConnectionTrait,
    account_id: Uuid,
    since: Timestamp,
    most: u32,
) -> Result<Vec<Timestamp>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::At)
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::What.is_in([What::GuessWrong.word(), What::GuessSuperseded.word()]))
        .filter(Column::At.gt(since))
        .order_by_desc(Column::At)
        .limit(u64::from(most))
        .into_tuple()
        .all(db)
        .await
}

/// The account's newest facts, newest first: as many as are shown.
pub(crate) async fn shown(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Vec<Model>, DbErr> {
    let newest = Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .order_by_desc(Column::Id);
    newest.limit(SHOWN as u64).all(db).await
}
