//! Table `codes`: one row a code, which is its own outbox. Here a code is born, guessed at and
//! ended; `mails` has the statements on its mail's schedule. Whoever ends a code, or takes a guess,
//! holds the account's lock.

use kit::{clock::Timestamp, db::Tx, keyring::KeyRing};
use sea_orm::{
    DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _, entity::prelude::*,
    sea_query::CaseStatement,
};

use crate::domain::{CodeLength, Digits};

/// How many superseded codes a guess is compared with.
const COMPARED: u64 = 3;
/// How many codes of an account are shown.
const SHOWN: u64 = 10;

/// One code. Its digits are derived, not stored.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "codes")]
pub(crate) struct Model {
    /// The key of its mail.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    /// 1 for an account's first.
    pub(crate) number: i32,
    /// Grows with every change that a watcher sees.
    pub(crate) version: i64,
    pub(crate) key_id: String,
    pub(crate) length: i32,
    /// Makes equal ids under equal keys differ after a restore.
    pub(crate) salt: Vec<u8>,
    pub(crate) state: CodeState,
    pub(crate) mail_state: MailState,
    pub(crate) created_at: Timestamp,
    /// 0 once somebody was told that it has expired: it never confirms again, whatever becomes of
    /// the clock.
    pub(crate) expires_at: Timestamp,
    /// What `expires_at` was until then.
    pub(crate) expired_at: Option<Timestamp>,
    pub(crate) guesses: i32,
    /// Times the mailer answered that it had tried.
    pub(crate) mail_attempts: i32,
    /// Whether an attempt got as far as the mail server.
    pub(crate) mail_reached: bool,
    /// When the mail server took the mail, by the mailer's clock.
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) next_attempt_at: Timestamp,
    /// When that was written: in the future if the clock was set back since.
    pub(crate) scheduled_at: Timestamp,
    /// Counts the claims; who holds the highest may write failures.
    pub(crate) claim_no: i32,
    /// Until when the mail is claimed; 0 when it is not.
    pub(crate) claimed_until: Timestamp,
    /// Trace context of what caused the code.
    pub(crate) traceparent: String,
    pub(crate) tracestate: String,
}

/// Whether a code still confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum CodeState {
    /// Until it expires.
    #[sea_orm(string_value = "live")]
    Live,
    /// It confirmed the account.
    #[sea_orm(string_value = "used")]
    Used,
    /// A newer one replaced it.
    #[sea_orm(string_value = "superseded")]
    Superseded,
    /// Wrong guesses ended it.
    #[sea_orm(string_value = "burnt")]
    Burnt,
}

/// What became of a code's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum MailState {
    /// To be delivered, or delivered again.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// The mail server took it.
    #[sea_orm(string_value = "accepted")]
    Accepted,
    /// The mail server refused the recipient.
    #[sea_orm(string_value = "rejected")]
    Rejected,
    /// Given up.
    #[sea_orm(string_value = "undelivered")]
    Undelivered,
    /// The code ended first.
    #[sea_orm(string_value = "obsolete")]
    Obsolete,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// When it expires or did.
    pub(crate) fn expiry(&self) -> Timestamp {
        self.expired_at.unwrap_or(self.expires_at)
    }

    /// Its digits; none when the key it was derived from is gone or not known here.
    pub(crate) fn digits(&self, keys: &KeyRing) -> Option<Digits> {
        let length = CodeLength::parse(self.length.into()).ok()?;
        Some(Digits::derive(
            keys.get(&self.key_id)?,
            self.id,
            &self.salt,
            length,
        ))
    }
}

pub(crate) async fn insert(tx: &Tx, rows: Vec<Model>) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    Entity::insert_many(rows)
        .exec_without_returning(&tx.later())
        .await
        .map(drop)
}

/// The account's newest code, whatever became of it.
pub(crate) async fn newest(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    of(account_id).one(db).await
}

/// The account's newest superseded codes: as many as a guess is compared with.
pub(crate) async fn superseded(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Vec<Model>, DbErr> {
    of(account_id)
        .filter(Column::State.eq(CodeState::Superseded))
        .limit(COMPARED)
        .all(db)
        .await
}

/// The account's newest codes: as many as are shown.
pub(crate) async fn shown(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Vec<Model>, DbErr> {
    of(account_id).limit(SHOWN).all(db).await
}

/// The account that a code belongs to.
pub(crate) async fn account_of(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Uuid>, DbErr> {
    let code = Entity::find_by_id(id)
        .select_only()
        .column(Column::AccountId);
    code.into_tuple().one(db).await
}

/// Counts a guess, if the code still takes one.
pub(crate) async fn take_guess(tx: &Tx, id: Uuid, limit: u32) -> Result<bool, DbErr> {
    let counted = Entity::update_many()
        .col_expr(Column::Guesses, Expr::col(Column::Guesses).add(1))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(CodeState::Live))
        // In the predicate, by the database's clock: nothing that was read before decides.
        .filter(Column::ExpiresAt.gt(tx.now()))
        .filter(Column::Guesses.lt(limit))
        .exec(tx)
        .await?;
    Ok(counted.rows_affected == 1)
}

/// Keeps an expiry that somebody is told of.
pub(crate) async fn keep_expired(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ExpiredAt, Expr::col(Column::ExpiresAt))
        // 0 is over by any clock, also by one that is set back.
        .col_expr(Column::ExpiresAt, Expr::val(Timestamp(0)))
        .filter(Column::Id.eq(id))
        .filter(Column::ExpiresAt.lte(tx.now()))
        .filter(Column::ExpiredAt.is_null())
        .exec(tx)
        .await
        .map(drop)
}

/// Ends a live code. A mail that is still pending becomes obsolete with it.
pub(crate) async fn end(tx: &Tx, id: Uuid, state: CodeState) -> Result<(), DbErr> {
    // In the same statement, so that no later claim sends a code that confirms nothing any more.
    // What was accepted or given up stays as it is: it happened.
    let mail_state = CaseStatement::new()
        .case(
            Column::MailState.eq(MailState::Pending),
            Expr::val(MailState::Obsolete.to_value()),
        )
        .finally(Expr::col(Column::MailState));
    Entity::update_many()
        .col_expr(Column::State, Expr::val(state.to_value()))
        .col_expr(Column::MailState, mail_state.into())
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        // Whoever comes second changes nothing: a used code is never superseded.
        .filter(Column::State.eq(CodeState::Live))
        .exec(tx)
        .await
        .map(drop)
}

/// Makes a pending mail due now.
pub(crate) async fn make_due(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::val(tx.now()))
        // With the schedule goes when it was written, or `reschedule` would move it once more.
        .col_expr(Column::ScheduledAt, Expr::val(tx.now()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::MailState.eq(MailState::Pending))
        .exec(tx)
        .await
        .map(drop)
}

/// For those of the accounts that have codes: a number that grows with every change that a watcher
/// sees.
pub(crate) async fn versions(
    db: &impl ConnectionTrait,
    accounts: Vec<Uuid>,
) -> Result<Vec<(Uuid, i64)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::AccountId)
        // A sum: rows are never deleted, so that it grows whichever code changes. Postgres makes a
        // numeric of it, hence the cast.
        .column_as(Column::Version.sum().cast_as("bigint"), "version")
        .filter(Column::AccountId.is_in(accounts))
        .group_by(Column::AccountId)
        .into_tuple()
        .all(db)
        .await
}

fn of(account_id: Uuid) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .order_by_desc(Column::Number)
}
