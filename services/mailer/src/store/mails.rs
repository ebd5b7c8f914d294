//! The table `mails`: one row a key, with a lease for whoever sends it.
//!
//! ```text
//!            insert             begin_sending
//!  (no row) ───────► sending ◄───────────────── idle
//!                     │   │                      ▲
//!  ends::mark_accepted│   │ set_idle: not final, │
//!  ends::mark_refused │   │ or not begun, under  │
//!                     │   │ the claim's own      │
//!                     │   │ number; or           │
//!                     ▼   │ count_lapsed: its    │
//!   accepted, rejected,   │ lease has passed; or │
//!   invalid               │ take_back_claims:    │
//!       │                 │ nothing was sent     │
//!       │                 └──────────────────────┤
//!       │ ends::take_refusals_back: rejected, by │
//!       └─ words that are said of everybody ─────┘
//! ```
//!
//! **A claim is a lease with a number.** `claim_no` counts the claims of a row, and under each of them
//! is at most one attempt to send. Who sends has the highest number until `claimed_until`; an end that
//! is not final is written only where the number is still the sender's. That an attempt was accepted
//! or refused is a fact and always written.
//!
//! The number starts again at 1 when a row is forgotten and its key comes back. So a row lives for
//! `MEMORY` beyond the expiry that it was inserted with, and no claim begins after that expiry,
//! whatever a later offer says: whoever holds an old row's number has had seven days to write its
//! end.

use std::{collections::HashMap, time::Duration};

use kit::{
    clock::Timestamp,
    db::{LEASES_AHEAD, Tx, lock_rows, update_given},
};
use sea_orm::{
    DbBackend, DbErr, ExprTrait as _, InsertMany, QueryOrder as _, QuerySelect as _, UpdateMany,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, OnConflict},
};

use crate::domain::AddressMac;

/// How long mails are remembered after their code has expired.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A mail. Neither its address nor its code are in it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub(crate) struct Model {
    /// The mail's key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) code_id: Uuid,
    pub(crate) account_id: Uuid,
    /// What was asked for, to recognise a key that is used again for another mail.
    pub(crate) template: String,
    /// The tag that was asked for.
    pub(crate) locale: String,
    /// HMAC of the recipient.
    pub(crate) address_mac: Vec<u8>,
    /// Names the key of that HMAC.
    pub(crate) address_key_id: String,
    pub(crate) state: LedgerState,
    /// Counts the claims; under some of them no attempt was begun.
    pub(crate) claim_no: i32,
    /// Until when the latest claim is its sender's own.
    pub(crate) claimed_until: Timestamp,
    /// Attempts whose outcome could not be learnt.
    pub(crate) unknown_attempts: i32,
    /// Of a refusal: why, redacted.
    pub(crate) reason: String,
    /// When it became final.
    pub(crate) ended_at: Option<Timestamp>,
    /// When the row may be forgotten.
    pub(crate) keep_until: Timestamp,
}

/// Where a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum LedgerState {
    /// Between attempts.
    #[sea_orm(string_value = "idle")]
    Idle,
    /// An attempt is under way or about to be, or was when its process died.
    #[sea_orm(string_value = "sending")]
    Sending,
    #[sea_orm(string_value = "accepted")]
    Accepted,
    #[sea_orm(string_value = "rejected")]
    Rejected,
    #[sea_orm(string_value = "invalid")]
    Invalid,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Until when a mail is remembered whose code expires then.
pub(crate) fn keep_until(expires_at: Timestamp) -> Timestamp {
    expires_at + MEMORY
}

impl Model {
    pub(crate) fn address(&self) -> AddressMac {
        AddressMac {
            key_id: self.address_key_id.clone(),
            mac: self.address_mac.clone(),
        }
    }

    /// When the code expires, by the offer that made the row.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.keep_until - MEMORY
    }

    /// How much longer its sender has it for itself.
    pub(crate) fn lease_left(&self, now: Timestamp, lease: Duration) -> Option<Duration> {
        let left = self.claimed_until.since(now);
        // A lease that ends later than any does was taken before the clock was set back: its sender
        // would have renewed it by now.
        let holds = !left.is_zero() && left <= lease * LEASES_AHEAD;
        holds.then_some(left)
    }

    pub(crate) fn unknown_attempts(&self) -> u32 {
        u32::try_from(self.unknown_attempts).unwrap_or(0)
    }
}

/// Rows by their keys.
pub(crate) fn by_key(rows: Vec<Model>) -> HashMap<Uuid, Model> {
    rows.into_iter().map(|row| (row.code_id, row)).collect()
}

/// The rows of these keys, without a lock.
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::CodeId.is_in(keys))
        .all(connection)
        .await
}

/// The rows of these keys, locked until the transaction ends, always in one order.
pub(crate) async fn lock(
    tx: &Tx,
    keys: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::CodeId.is_in(keys))
        .order_by_asc(Column::CodeId)
        .lock(LockType::Update)
        .all(tx)
        .await
}

/// Inserts the rows that are not there yet and returns the keys that were inserted.
pub(crate) async fn insert(tx: &Tx, rows: Vec<Model>) -> Result<Vec<Uuid>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    inserting(rows).exec_with_returning_keys(tx).await
}

/// The same for rows that this transaction has looked for and not found.
pub(crate) async fn insert_missing(tx: &Tx, rows: Vec<Model>) -> Result<Vec<Uuid>, DbErr> {
    if rows.is_empty() || tx.get_database_backend() != DbBackend::Sqlite {
        return insert(tx, rows).await;
    }
    // Nobody else has written there since its BEGIN IMMEDIATE: the answer is known.
    let keys = rows.iter().map(|row| row.code_id).collect();
    inserting(rows).exec_without_returning(&tx.later()).await?;
    Ok(keys)
}

fn inserting(mut rows: Vec<Model>) -> InsertMany<ActiveModel> {
    // Two replicas that insert the same keys wait for each other, but not in a circle. There is
    // nothing to lock beforehand: the rows are not there.
    rows.sort_unstable_by_key(|row| row.code_id);
    let rows = rows
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    let if_new = OnConflict::column(Column::CodeId).do_nothing().to_owned();
    Entity::insert_many(rows).on_conflict(if_new)
}

/// A claim as it stands in its row until somebody renews or ends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnsentClaim {
    pub(crate) code_id: Uuid,
    pub(crate) claim_no: i32,
    pub(crate) until: Timestamp,
}

/// Takes claims back under which nothing was sent: no attempt is counted. Returns how many there
/// were.
pub(crate) async fn take_back_claims(tx: &Tx, claims: &[UnsentClaim]) -> Result<usize, DbErr> {
    // By its end, too: somebody else's claim of the same number ends at another moment.
    const SQL: &str = "UPDATE mails SET state = $1 FROM given
        WHERE mails.code_id = given.code_id AND mails.claim_no = given.claim_no
        AND mails.claimed_until = given.claimed_until AND mails.state = $2
        RETURNING mails.code_id";
    lock_all(tx, claims.iter().map(|claim| claim.code_id)).await?;
    let mut rows = Vec::with_capacity(claims.len());
    for claim in claims {
        rows.push([
            claim.code_id.into(),
            claim.claim_no.into(),
            claim.until.into(),
        ]);
    }
    let columns = ["code_id", "claim_no", "claimed_until"];
    let states = [LedgerState::Idle, LedgerState::Sending].map(|state| state.to_value().into());
    Ok(update_given(tx, columns, SQL, &states, &rows).await?.len())
}

/// Locks the rows of these keys and reads nothing, as everybody who writes several of them does
/// first.
pub(crate) async fn lock_all(tx: &Tx, keys: impl Iterator<Item = Uuid>) -> Result<(), DbErr> {
    lock_rows(tx, "mails", "code_id", keys).await
}

/// Begins an attempt on each of these idle mails: the next claim.
pub(crate) async fn begin_sending(
    tx: &Tx,
    keys: &[Uuid],
    claimed_until: Timestamp,
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::State, Expr::value(LedgerState::Sending))
        .col_expr(Column::ClaimNo, Expr::col(Column::ClaimNo).add(1))
        .col_expr(Column::ClaimedUntil, Expr::value(claimed_until))
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        // Decided under the lock; here once more, so that no caller can begin what has ended.
        .filter(Column::State.eq(LedgerState::Idle))
        .exec(tx)
        .await
        .map(drop)
}

/// Moves the leases of those of these claims, by key and number, that still send; returns their
/// keys.
pub(crate) async fn renew_claims(
    tx: &Tx,
    claims: &[(Uuid, i32)],
    claimed_until: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    const SQL: &str = "UPDATE mails SET claimed_until = $1 FROM given
        WHERE mails.code_id = given.code_id AND mails.claim_no = given.claim_no
        AND mails.state = $2 RETURNING mails.code_id";
    let rows: Vec<[Value; 2]> = claims
        .iter()
        .map(|(key, claim_no)| [(*key).into(), (*claim_no).into()])
        .collect();
    update_given(
        tx,
        ["code_id", "claim_no"],
        SQL,
        &[claimed_until.into(), LedgerState::Sending.to_value().into()],
        &rows,
    )
    .await
}

/// Ends every claim. Only for a process that owns the database alone: they are those of one that
/// died.
pub(crate) async fn end_stale_claims(tx: &Tx) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Expr::value(tx.now()))
        .filter(Column::State.eq(LedgerState::Sending))
        .exec(tx)
        .await
        .map(drop)
}

/// Counts attempts whose lease has passed as unknown, one each.
pub(crate) async fn count_lapsed(tx: &Tx, keys: &[Uuid]) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let lapsed = Entity::update_many().filter(Column::CodeId.is_in(keys.iter().copied()));
    to_idle(lapsed, 1).exec(tx).await.map(drop)
}

/// Notes the end of an attempt that was not final, or that there was none, under its own claim alone;
/// `unknown` is 1 if its outcome is.
pub(crate) async fn set_idle(tx: &Tx, key: Uuid, claim_no: i32, unknown: i32) -> Result<(), DbErr> {
    let ours = Entity::update_many()
        .filter(Column::CodeId.eq(key))
        .filter(Column::ClaimNo.eq(claim_no));
    to_idle(ours, unknown).exec(tx).await.map(drop)
}

fn to_idle(update: UpdateMany<Entity>, unknown: i32) -> UpdateMany<Entity> {
    let unknown = Expr::col(Column::UnknownAttempts).add(unknown);
    update
        .col_expr(Column::State, Expr::value(LedgerState::Idle))
        .col_expr(Column::UnknownAttempts, unknown)
        .filter(Column::State.eq(LedgerState::Sending))
}

/// Keys of at most `limit` mails whose time is over, locked.
pub(crate) async fn lock_due(tx: &Tx, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    let due = Entity::find()
        .filter(Column::KeepUntil.lt(tx.now()))
        .order_by_asc(Column::KeepUntil)
        .order_by_asc(Column::CodeId)
        .limit(limit)
        // Of two replicas that forget at once, each takes others.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    Ok(due.into_iter().map(|mail| mail.code_id).collect())
}

pub(crate) async fn delete(tx: &Tx, keys: &[Uuid]) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        .exec(tx)
        .await
        .map(drop)
}
