//! The ends of mails in the table `mails`, which are facts: written whoever holds the claim by
//! then, and taken back where the mail server said the same of everybody.

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{DbErr, entity::prelude::*};

use super::mails::{Column, Entity, LedgerState};

/// Notes acceptances.
pub(crate) async fn mark_accepted(tx: &Tx, keys: &[Uuid]) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::State, Expr::value(LedgerState::Accepted))
        .col_expr(Column::Reason, Expr::value(""))
        .col_expr(Column::EndedAt, Expr::value(tx.now()))
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        // A fact, whoever holds the claim, and even over a refusal: some attempt's mail was taken.
        // The first acceptance's moment stays.
        .filter(Column::State.ne(LedgerState::Accepted))
        .exec(&tx.later())
        .await
        .map(drop)
}

/// Notes a final refusal.
pub(crate) async fn mark_refused(
    tx: &Tx,
    key: Uuid,
    refused: LedgerState,
    reason: &str,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(refused))
        .col_expr(Column::Reason, Expr::value(reason))
        .col_expr(Column::EndedAt, Expr::value(tx.now()))
        .filter(Column::CodeId.eq(key))
        // A fact, too, but never over another final state: least of all over an acceptance.
        .filter(Column::State.is_in([LedgerState::Idle, LedgerState::Sending]))
        .exec(tx)
        .await
        .map(drop)
}

/// Takes refusals back that were said of everybody: these mails are offered and sent as if there
/// had been none.
pub(crate) async fn take_refusals_back(tx: &Tx, keys: &[Uuid]) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::State, Expr::value(LedgerState::Idle))
        .col_expr(Column::Reason, Expr::value(""))
        .col_expr(Column::EndedAt, Expr::value(None::<Timestamp>))
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        // What has been accepted meanwhile, or is tried again, is left alone.
        .filter(Column::State.eq(LedgerState::Rejected))
        .exec(tx)
        .await
        .map(drop)
}
