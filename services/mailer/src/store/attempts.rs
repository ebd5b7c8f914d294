//! The table `attempts`: what became of each attempt, for people. Nothing is decided by it.

use kit::{clock::Timestamp, db::Tx, page::PageToken};
use sea_orm::{QueryOrder as _, QuerySelect as _, entity::prelude::*, sea_query::OnConflict};

/// One attempt to send one mail, after its end.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub(crate) struct Model {
    /// UUID version 7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    /// The mail's key.
    pub(crate) code_id: Uuid,
    pub(crate) account_id: Uuid,
    /// The claim under which it was made: 1 for the mail's first, then counting.
    pub(crate) attempt: i32,
    pub(crate) outcome: Outcome,
    /// The mail server's answer, redacted.
    pub(crate) reply: String,
    pub(crate) ended_at: Timestamp,
    /// 32 hexadecimal digits; empty when it was not traced.
    pub(crate) trace_id: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum Outcome {
    /// The mail server took responsibility for the mail.
    #[sea_orm(string_value = "accepted")]
    Accepted,
    /// Not possible now; another attempt may succeed.
    #[sea_orm(string_value = "unavailable")]
    Unavailable,
    /// The mail server refused the recipient for good.
    #[sea_orm(string_value = "rejected")]
    Rejected,
    /// The mail cannot be made.
    #[sea_orm(string_value = "invalid")]
    Invalid,
    /// The answer after the final dot was lost: the mail may have been accepted.
    #[sea_orm(string_value = "unknown")]
    Unknown,
}

impl Outcome {
    /// Its word in tables, spans and metrics.
    pub(crate) fn word(self) -> String {
        self.to_value()
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts those that are not there yet.
pub(crate) async fn insert(tx: &Tx, attempts: Vec<Model>) -> Result<(), DbErr> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows = attempts
        .into_iter()
        .map(|attempt| ActiveModel::from(attempt).reset_all());
    // An attempt whose commit was not answered is written again under its id.
    let if_new = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert_many(rows)
        .on_conflict(if_new)
        .exec_without_returning(&tx.later())
        .await
        .map(drop)
}

/// At most `limit` attempts, newest first, of one mail or of all; with `after`, those that follow
/// it.
pub(crate) async fn newest_first(
    connection: &impl ConnectionTrait,
    code_id: Option<Uuid>,
    after: Option<PageToken>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut attempts = Entity::find()
        .order_by_desc(Column::EndedAt)
        .order_by_desc(Column::Id)
        .limit(limit);
    if let Some(code_id) = code_id {
        attempts = attempts.filter(Column::CodeId.eq(code_id));
    }
    if let Some(token) = after {
        attempts = attempts.filter(token.precedes(Column::EndedAt, Column::Id));
    }
    attempts.all(connection).await
}

/// Refusals of these mails that turned out to be said of everybody were none of them.
pub(crate) async fn take_refusals_back(tx: &Tx, mails: &[Uuid]) -> Result<(), DbErr> {
    if mails.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::Outcome, Expr::value(Outcome::Unavailable))
        .filter(Column::CodeId.is_in(mails.iter().copied()))
        .filter(Column::Outcome.eq(Outcome::Rejected))
        .exec(tx)
        .await
        .map(drop)
}

/// Deletes the attempts of these mails.
pub(crate) async fn delete_of(tx: &Tx, mails: &[Uuid]) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::CodeId.is_in(mails.iter().copied()))
        .exec(tx)
        .await
        .map(drop)
}
