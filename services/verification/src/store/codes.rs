//! An account's codes: born, guessed at, ended. Whoever ends one, or takes a guess, holds the account's lock.

use kit::clock::Timestamp;
use sea_orm::{
    DatabaseTransaction, DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _,
    entity::prelude::*, sea_query::CaseStatement,
};

use super::entities::code::{ActiveModel, CodeState, Column, Entity, MailState, Model};

/// How many superseded codes a guess is compared with.
const COMPARED: u64 = 3;
/// How many codes of an account are shown.
const SHOWN: u64 = 10;

/// Writes new codes.
pub(crate) async fn insert(tx: &DatabaseTransaction, rows: Vec<Model>) -> Result<(), DbErr> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    Entity::insert_many(rows)
        .exec_without_returning(tx)
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

/// Counts a guess, if the code still takes one.
pub(crate) async fn take_guess(
    tx: &DatabaseTransaction,
    now: Timestamp,
    id: Uuid,
    limit: u32,
) -> Result<bool, DbErr> {
    let counted = Entity::update_many()
        .col_expr(Column::Guesses, Expr::col(Column::Guesses).add(1))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(CodeState::Live))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::Guesses.lt(limit))
        .exec(tx)
        .await?;
    Ok(counted.rows_affected == 1)
}

/// Ends a live code. A mail that is still pending becomes obsolete with it.
pub(crate) async fn end(tx: &DatabaseTransaction, id: Uuid, state: CodeState) -> Result<(), DbErr> {
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
        .filter(Column::State.eq(CodeState::Live))
        .exec(tx)
        .await
        .map(drop)
}

/// Makes a pending mail due now.
pub(crate) async fn make_due(
    tx: &DatabaseTransaction,
    now: Timestamp,
    id: Uuid,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::NextAttemptAt, Expr::val(now))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::MailState.eq(MailState::Pending))
        .exec(tx)
        .await
        .map(drop)
}

/// For those of the accounts that have codes: a number that grows with every change that a watcher sees.
pub(crate) async fn versions(
    db: &impl ConnectionTrait,
    accounts: Vec<Uuid>,
) -> Result<Vec<(Uuid, i64)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::AccountId)
        .column_as(Column::Version.sum().cast_as("bigint"), "version") // Postgres' sum of bigints is numeric
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
