//! The mails' schedule in the codes' rows: claimed, renewed, let go, settled. A claim is a lease; accepted and
//! rejected are facts and written whoever holds it, everything else only by the holder of the newest claim.

use kit::{clock::Timestamp, db::update_each};
use sea_orm::{
    DatabaseTransaction, DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use super::entities::code::{CodeState, Column, Entity, MailState, Model};
use crate::domain::mail::Turn;

/// A claim: the code and the number under which it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The code, and so the mail.
    pub(crate) code_id: Uuid,
    /// The claim's number.
    pub(crate) claim_no: i32,
}

/// Claims up to `most` due mails until `lease`, longest due first. Two replicas never claim the same one: on
/// Postgres they skip each other's locked rows, on SQLite the transaction is the only writer.
pub(crate) async fn claim(
    tx: &DatabaseTransaction,
    now: Timestamp,
    lease: Timestamp,
    turn: Turn,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut due = Entity::find()
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::State.eq(CodeState::Live))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::NextAttemptAt.lte(now))
        .filter(Column::LeaseUntil.lte(now))
        .filter(match turn {
            Turn::First => Column::MailAttempts.eq(0),
            Turn::Again => Column::MailAttempts.gt(0),
        })
        .order_by_asc(Column::NextAttemptAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    if due.is_empty() {
        return Ok(due);
    }
    Entity::update_many()
        .col_expr(Column::ClaimNo, Expr::col(Column::ClaimNo).add(1))
        .col_expr(Column::LeaseUntil, Expr::val(lease))
        .filter(Column::Id.is_in(due.iter().map(|code| code.id)))
        .exec(tx)
        .await?;
    for code in &mut due {
        code.claim_no += 1;
        code.lease_until = lease;
    }
    Ok(due)
}

/// Moves the end of all these claims in one statement: later to renew them, to 0 to let go.
pub(crate) async fn set_leases(
    tx: &DatabaseTransaction,
    until: Timestamp,
    claims: &[Claim],
) -> Result<(), DbErr> {
    let sql = "UPDATE codes SET lease_until = $1 FROM {rows}
               WHERE id = given.column1 AND claim_no = given.column2 AND mail_state = 'pending' RETURNING id";
    let rows: Vec<_> = claims
        .iter()
        .map(|claim| [claim.code_id.into(), claim.claim_no.into()])
        .collect();
    update_each(tx, sql, until.into(), &rows).await.map(drop)
}

/// Ends every claim. Only for a process that owns the database alone: the claims are those of one that died.
pub(crate) async fn end_all_claims(tx: &DatabaseTransaction, now: Timestamp) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::val(Timestamp(0)))
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::LeaseUntil.gt(now))
        .exec(tx)
        .await
        .map(drop)
}

/// Marks mails that the mail server took, with the time when it did. A fact, whatever became of code and claim.
pub(crate) async fn accept(
    tx: &DatabaseTransaction,
    accepted: &[(Uuid, Timestamp)],
) -> Result<Vec<Uuid>, DbErr> {
    let sql =
        "UPDATE codes SET mail_state = 'accepted', accepted_at = given.column2, mail_reached = $1,
                      mail_attempts = mail_attempts + 1, lease_until = 0, version = version + 1
               FROM {rows} WHERE id = given.column1 AND mail_state <> 'accepted' RETURNING id";
    let rows: Vec<_> = accepted
        .iter()
        .map(|(id, at)| [(*id).into(), (*at).into()])
        .collect();
    update_each(tx, sql, true.into(), &rows).await
}

/// Marks mails whose recipient the mail server refused. A fact as well; returns those for which it is news.
pub(crate) async fn reject(
    tx: &DatabaseTransaction,
    rejected: &[Uuid],
) -> Result<Vec<Uuid>, DbErr> {
    let sql = "UPDATE codes SET mail_state = 'rejected', mail_reached = $1,
                      mail_attempts = mail_attempts + 1, lease_until = 0, version = version + 1
               FROM {rows} WHERE id = given.column1 AND mail_state NOT IN ('accepted', 'rejected') RETURNING id";
    let rows: Vec<_> = rejected.iter().map(|id| [(*id).into()]).collect();
    update_each(tx, sql, true.into(), &rows).await
}

/// Gives mails up. Returns those that the claim still covered.
pub(crate) async fn give_up(
    tx: &DatabaseTransaction,
    given_up: &[(Claim, bool)],
) -> Result<Vec<Uuid>, DbErr> {
    let sql =
        "UPDATE codes SET mail_state = 'undelivered', mail_reached = mail_reached OR given.column3,
                      mail_attempts = mail_attempts + $1, lease_until = 0, version = version + 1
               FROM {rows} WHERE id = given.column1 AND claim_no = given.column2
                             AND mail_state = 'pending' RETURNING id";
    let rows = given_up.iter().map(|(claim, reached)| {
        [
            claim.code_id.into(),
            claim.claim_no.into(),
            (*reached).into(),
        ]
    });
    update_each(tx, sql, 1.into(), &rows.collect::<Vec<_>>()).await
}

/// What is written of a mail that is to be tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postponed {
    /// The claim that it ends.
    pub(crate) claim: Claim,
    /// When it is due again.
    pub(crate) next_attempt_at: Timestamp,
    /// Whether it counts as an attempt.
    pub(crate) counted: bool,
    /// Whether it got as far as the mail server.
    pub(crate) reached: bool,
}

/// Writes down when mails are due again. Returns those that the claim still covered.
pub(crate) async fn postpone(
    tx: &DatabaseTransaction,
    postponed: &[Postponed],
) -> Result<Vec<Uuid>, DbErr> {
    let sql =
        "UPDATE codes SET next_attempt_at = given.column3, mail_attempts = mail_attempts + given.column4,
                      mail_reached = mail_reached OR given.column5, lease_until = 0, version = version + $1
               FROM {rows} WHERE id = given.column1 AND claim_no = given.column2
                             AND mail_state = 'pending' RETURNING id";
    let rows = postponed.iter().map(|mail| {
        let Postponed {
            claim,
            next_attempt_at,
            counted,
            reached,
        } = *mail;
        let counted = i32::from(counted);
        [
            claim.code_id.into(),
            claim.claim_no.into(),
            next_attempt_at.into(),
            counted.into(),
            reached.into(),
        ]
    });
    update_each(tx, sql, 1_i64.into(), &rows.collect::<Vec<_>>()).await
}

/// Up to `most` unclaimed codes that expired while their mail was pending: code and account.
pub(crate) async fn expired(
    db: &impl ConnectionTrait,
    now: Timestamp,
    most: u64,
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    over(now)
        .limit(most)
        .select_only()
        .column(Column::Id)
        .column(Column::AccountId)
        .into_tuple()
        .all(db)
        .await
}

/// Those of these codes for which that is still so, now that their accounts are locked.
pub(crate) async fn still_expired(
    tx: &DatabaseTransaction,
    now: Timestamp,
    codes: Vec<Uuid>,
) -> Result<Vec<Model>, DbErr> {
    over(now).filter(Column::Id.is_in(codes)).all(tx).await
}

/// Ends the mail of an expired code that an attempt got to the mail server.
pub(crate) async fn mark_expired(tx: &DatabaseTransaction, ids: Vec<Uuid>) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(
            Column::MailState,
            Expr::val(MailState::Undelivered.to_value()),
        )
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.is_in(ids))
        .filter(Column::MailState.eq(MailState::Pending))
        .exec(tx)
        .await
        .map(drop)
}

/// How many mails are pending, and since when the one that is longest due has been.
pub(crate) async fn due(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<(i64, Option<Timestamp>), DbErr> {
    let due = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "number")
        .column_as(Column::NextAttemptAt.min(), "oldest")
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::NextAttemptAt.lte(now));
    Ok(due.into_tuple().one(db).await?.unwrap_or_default())
}

fn over(now: Timestamp) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::ExpiresAt.lte(now))
        .filter(Column::LeaseUntil.lte(now))
        .order_by_asc(Column::ExpiresAt)
}
