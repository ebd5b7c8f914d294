//! Table `history`: append-only facts that the other rows would forget. Facts that stand in a row
//! already (a code was issued, its mail accepted, the account verified) are read from there when
//! the history is shown.

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{ActiveValue::Set, DbErr, QueryOrder as _, QuerySelect as _, entity::prelude::*};

use super::Code;

/// How much of it is shown.
pub(crate) const SHOWN: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "history")]
pub(crate) struct Model {
    /// In the order of writing.
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) account_id: Uuid,
    /// To which code, if to one.
    pub(crate) code_id: Option<Uuid>,
    pub(crate) at: Timestamp,
    pub(crate) what: What,
    /// More, for people; no address, no digits.
    pub(crate) detail: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum What {
    /// A guess was wrong, and counted.
    #[sea_orm(string_value = "guess_wrong")]
    GuessWrong,
    /// A guess was a superseded code, and counted.
    #[sea_orm(string_value = "guess_superseded")]
    GuessSuperseded,
    #[sea_orm(string_value = "code_burnt")]
    CodeBurnt,
    #[sea_orm(string_value = "code_superseded")]
    CodeSuperseded,
    #[sea_orm(string_value = "resend_requested")]
    ResendRequested,
    /// A mail could not be sent this time.
    #[sea_orm(string_value = "mail_attempt_failed")]
    MailAttemptFailed,
    /// Nobody knows whether a mail arrived: its answer was lost.
    #[sea_orm(string_value = "mail_answer_lost")]
    MailAnswerLost,
    /// The mail server refused the recipient.
    #[sea_orm(string_value = "mail_rejected")]
    MailRejected,
    #[sea_orm(string_value = "mail_undelivered")]
    MailUndelivered,
}

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
    pub(crate) fn of_code(code: &Code, what: What) -> Self {
        Self {
            account_id: code.account_id,
            code_id: Some(code.id),
            what,
            detail: String::new(),
        }
    }

    /// The same with its reason, for people; no address, no digits.
    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self {
            detail: reason.into(),
            ..self
        }
    }
}

pub(crate) async fn append(tx: &Tx, facts: Vec<Fact>) -> Result<(), DbErr> {
    if facts.is_empty() {
        return Ok(());
    }
    let rows = facts.into_iter().map(|fact| ActiveModel {
        account_id: Set(fact.account_id),
        code_id: Set(fact.code_id),
        at: Set(tx.now()),
        what: Set(fact.what),
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
        .filter(Column::What.is_in([What::GuessWrong, What::GuessSuperseded]))
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
