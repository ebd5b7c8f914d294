//! The mails' schedule in the codes' rows: claimed, renewed, let go, and what their attempts came
//! to. A claim is a lease; accepted and rejected are facts and written whoever holds it, everything
//! else only by the holder of the newest claim.

use std::time::Duration;

use kit::{
    clock::Timestamp,
    db::{LEASES_AHEAD, Tx, lock_rows, update_given},
};
use sea_orm::{
    ActiveEnum as _, DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _, Value,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, SimpleExpr},
};

use super::codes::{CodeState, Column, Entity, MailState, Model};
use crate::domain::Turn;

/// A claim: the code, and so the mail, and the number under which it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) code_id: Uuid,
    pub(crate) claim_no: i32,
}

/// Claims up to `most` due mails for `lease`, longest due first. Those of other keys than these are
/// left to who knows those: in the predicate, so that nobody claims them in vain, again and again.
pub(crate) async fn claim(
    tx: &Tx,
    lease: Duration,
    keys: &[String],
    turn: Turn,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let (now, until) = (tx.now(), tx.now() + lease);
    let its_turn = match turn {
        Turn::First => Column::MailAttempts.eq(0),
        Turn::Later => Column::MailAttempts.gt(0),
    };
    let mut due = Entity::find()
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::State.eq(CodeState::Live))
        // Expired or not is decided here, by the database's clock, and by no process's.
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::NextAttemptAt.lte(now))
        .filter(unclaimed(now, lease))
        .filter(Column::KeyId.is_in(keys))
        .filter(its_turn)
        .order_by_asc(Column::NextAttemptAt)
        .limit(most)
        // Two replicas never claim the same one: on Postgres they skip each other's locked rows, on
        // SQLite the transaction is the only writer.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    if due.is_empty() {
        return Ok(due);
    }
    // The higher number fences whoever held the mail before: what they write about it from now on
    // changes nothing.
    Entity::update_many()
        .col_expr(Column::ClaimNo, Expr::col(Column::ClaimNo).add(1))
        .col_expr(Column::ClaimedUntil, Expr::val(until))
        .filter(Column::Id.is_in(due.iter().map(|code| code.id)))
        .exec(tx)
        .await?;
    for code in &mut due {
        code.claim_no += 1;
        code.claimed_until = until;
    }
    Ok(due)
}

/// Moves the end of all these claims in one statement: later to renew them, to 0 to let go. Returns
/// the codes whose claim was still the newest.
pub(crate) async fn set_claimed_until(
    tx: &Tx,
    until: Timestamp,
    claims: &[Claim],
) -> Result<Vec<Uuid>, DbErr> {
    let sql = "UPDATE codes SET claimed_until = $1 FROM given
         WHERE codes.id = given.id AND codes.claim_no = given.claim_no
           AND codes.mail_state = $2 AND codes.claimed_until > 0 RETURNING codes.id";
    let shared = [until.into(), value(MailState::Pending)];
    let mut rows = Vec::with_capacity(claims.len());
    for Claim { code_id, claim_no } in claims {
        rows.push([(*code_id).into(), (*claim_no).into()]);
    }
    lock(tx, claims.iter().map(|claim| claim.code_id)).await?;
    update_given(tx, ["id", "claim_no"], sql, &shared, &rows).await
}

/// Locks these codes' rows until the transaction ends, as everybody who writes several does first.
pub(crate) async fn lock(tx: &Tx, codes: impl Iterator<Item = Uuid>) -> Result<(), DbErr> {
    lock_rows(tx, "codes", "id", codes).await
}

/// Ends every claim. Only for a process that owns the database alone: the claims are those of one
/// that died.
pub(crate) async fn end_stale_claims(tx: &Tx) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Expr::val(Timestamp(0)))
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::ClaimedUntil.gt(tx.now()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Marks mails that the mail server took, with the time when it did.
pub(crate) async fn accept(tx: &Tx, accepted: &[(Uuid, Timestamp)]) -> Result<Vec<Uuid>, DbErr> {
    // A fact, whatever became of code and claim; `<>`, so that it is news only once.
    let sql = "UPDATE codes
         SET mail_state = $1, accepted_at = given.accepted_at, mail_reached = TRUE,
             mail_attempts = mail_attempts + 1, claimed_until = 0, version = version + 1
         FROM given WHERE codes.id = given.id AND codes.mail_state <> $1 RETURNING codes.id";
    let shared = [value(MailState::Accepted)];
    let mut rows = Vec::with_capacity(accepted.len());
    for (id, at) in accepted {
        rows.push([(*id).into(), (*at).into()]);
    }
    update_given(tx, ["id", "accepted_at"], sql, &shared, &rows).await
}

/// Marks mails whose recipient the mail server refused. Returns those for which it is news.
pub(crate) async fn reject(tx: &Tx, rejected: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    // A fact as well, but one that an acceptance outlives: some attempt of the mail arrived.
    let sql = "UPDATE codes
         SET mail_state = $1, mail_reached = TRUE, mail_attempts = mail_attempts + 1,
             claimed_until = 0, version = version + 1
         FROM given WHERE codes.id = given.id AND codes.mail_state NOT IN ($1, $2)
         RETURNING codes.id";
    let shared = [value(MailState::Rejected), value(MailState::Accepted)];
    let mut rows = Vec::with_capacity(rejected.len());
    for id in rejected {
        rows.push([(*id).into()]);
    }
    update_given(tx, ["id"], sql, &shared, &rows).await
}

/// Makes mails that were rejected due again, as long as their codes are live. Returns their
/// accounts.
pub(crate) async fn take_back_rejections(tx: &Tx, codes: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    lock(tx, codes.iter().copied()).await?;
    let taken_back = Entity::update_many()
        .col_expr(Column::MailState, Expr::val(value(MailState::Pending)))
        .col_expr(Column::NextAttemptAt, Expr::val(tx.now()))
        .col_expr(Column::ClaimedUntil, Expr::val(Timestamp(0)))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.is_in(codes.iter().copied()))
        .filter(Column::MailState.eq(MailState::Rejected))
        // Of a code that has ended meanwhile nobody needs the mail.
        .filter(Column::State.eq(CodeState::Live))
        .exec_with_returning(tx)
        .await?;
    Ok(taken_back.into_iter().map(|code| code.account_id).collect())
}

/// What is written of a mail that is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GivenUp {
    /// The claim that it ends.
    pub(crate) claim: Claim,
    /// Whether the last attempt got as far as the mail server.
    pub(crate) reached: bool,
}

/// Gives mails up. Returns those that the claim still covered.
pub(crate) async fn give_up(tx: &Tx, given_up: &[GivenUp]) -> Result<Vec<Uuid>, DbErr> {
    let sql = "UPDATE codes
         SET mail_state = $1, mail_reached = mail_reached OR given.reached,
             mail_attempts = mail_attempts + 1, claimed_until = 0, version = version + 1
         FROM given WHERE codes.id = given.id AND codes.claim_no = given.claim_no
           AND codes.mail_state = $2 RETURNING codes.id";
    let shared = [value(MailState::Undelivered), value(MailState::Pending)];
    let mut rows = Vec::with_capacity(given_up.len());
    for GivenUp { claim, reached } in given_up {
        rows.push([
            claim.code_id.into(),
            claim.claim_no.into(),
            (*reached).into(),
        ]);
    }
    let columns = ["id", "claim_no", "reached"];
    update_given(tx, columns, sql, &shared, &rows).await
}

/// What is written of a mail that is to be tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postponed {
    /// The claim that it ends.
    pub(crate) claim: Claim,
    pub(crate) next_attempt_at: Timestamp,
    /// Whether it counts as an attempt.
    pub(crate) counted: bool,
    /// Whether it got as far as the mail server.
    pub(crate) reached: bool,
}

/// Writes down when mails are due again. Returns those that the claim still covered.
pub(crate) async fn postpone(tx: &Tx, postponed: &[Postponed]) -> Result<Vec<Uuid>, DbErr> {
    // Once it is written the claim is over: `claimed_until > 0`, so that who writes it again,
    // because the answer to the commit was lost, does not count the attempt twice.
    let sql = "UPDATE codes
         SET next_attempt_at = given.next_attempt_at, mail_attempts = mail_attempts + given.counted,
             mail_reached = mail_reached OR given.reached, claimed_until = 0, version = version + 1,
             scheduled_at = $2
         FROM given WHERE codes.id = given.id AND codes.claim_no = given.claim_no
           AND codes.mail_state = $1 AND codes.claimed_until > 0 RETURNING codes.id";
    let shared = [value(MailState::Pending), tx.now().into()];
    let mut rows = Vec::with_capacity(postponed.len());
    for mail in postponed {
        rows.push([
            mail.claim.code_id.into(),
            mail.claim.claim_no.into(),
            mail.next_attempt_at.into(),
            i32::from(mail.counted).into(),
            mail.reached.into(),
        ]);
    }
    let columns = ["id", "claim_no", "next_attempt_at", "counted", "reached"];
    update_given(tx, columns, sql, &shared, &rows).await
}

/// How many mails are pending and due by `now`, counted to `most`, and since when the one that is
/// longest due has been.
pub(crate) async fn due(
    reader: &impl ConnectionTrait,
    now: Timestamp,
    most: u64,
) -> Result<(usize, Option<Timestamp>), DbErr> {
    let due = Entity::find()
        .select_only()
        .column(Column::NextAttemptAt)
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::NextAttemptAt.lte(now))
        .order_by_asc(Column::NextAttemptAt)
        .limit(most);
    let due: Vec<Timestamp> = due.into_tuple().all(reader).await?;
    Ok((due.len(), due.first().copied()))
}

/// Whether a pending mail's time was written after `moment`.
pub(crate) async fn is_any_scheduled_after(
    reader: &impl ConnectionTrait,
    moment: Timestamp,
) -> Result<bool, DbErr> {
    let any = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::ScheduledAt.gt(moment))
        .limit(1);
    Ok(any.into_tuple::<Uuid>().one(reader).await?.is_some())
}

/// Lets up to `most` mails whose time was written after `moment` wait from now on for as long as
/// they were to wait then. Returns how many.
pub(crate) async fn reschedule(tx: &Tx, moment: Timestamp, most: u64) -> Result<usize, DbErr> {
    let early = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::ScheduledAt.gt(moment))
        .order_by_asc(Column::ScheduledAt)
        .limit(most)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let early: Vec<Uuid> = early.into_tuple().all(tx).await?;
    // So far ahead of now it was written: moved back by as much, it has as long to wait as it had.
    let ahead = Expr::col(Column::ScheduledAt).sub(tx.now());
    Entity::update_many()
        .col_expr(
            Column::NextAttemptAt,
            Expr::col(Column::NextAttemptAt).sub(ahead),
        )
        .col_expr(Column::ScheduledAt, Expr::val(tx.now()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.is_in(early.iter().copied()))
        .exec(tx)
        .await?;
    Ok(early.len())
}

pub(super) fn unclaimed(now: Timestamp, lease: Duration) -> SimpleExpr {
    // A claim that ends later than any does was made before the clock was set back.
    Column::ClaimedUntil
        .lte(now)
        .or(Column::ClaimedUntil.gt(now + lease * LEASES_AHEAD))
}

fn value(state: MailState) -> Value {
    state.to_value().into()
}
