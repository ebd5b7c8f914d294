//! The table `mails`: one row per key. States: `idle` (may be sent), `sending` (a token and a lease say who does),
//! and the final `accepted`, `rejected`, `invalid`.

use kit::clock::Timestamp;
use sea_orm::{
    DatabaseTransaction, DbErr, ExprTrait as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{LockType, OnConflict, Order, Query},
};

use crate::domain::{AddressMac, Outcome};

/// Between attempts.
pub(crate) const IDLE: &str = "idle";
/// An attempt is under way, or was when its process died.
pub(crate) const SENDING: &str = "sending";

/// A mail. Neither its address nor its code are in it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub(crate) struct Model {
    /// The mail's key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) code_id: Uuid,
    /// For operators.
    pub(crate) account_id: Uuid,
    /// What was asked for, to recognise a key that is used again for another mail.
    pub(crate) template: String,
    /// The tag that was asked for.
    pub(crate) locale: String,
    /// HMAC of the recipient.
    pub(crate) address_mac: Vec<u8>,
    /// Names the key of that HMAC.
    pub(crate) address_key_id: String,
    /// See the module's text.
    pub(crate) state: String,
    /// Of the attempt under way: whoever settles it must know it.
    pub(crate) token: Option<Uuid>,
    /// End of the attempt's lease.
    pub(crate) lease_until_at: Timestamp,
    /// Attempts that were begun.
    pub(crate) attempts: i32,
    /// Those whose outcome could not be learnt.
    pub(crate) unknown_attempts: i32,
    /// With a final state other than accepted: why, redacted.
    pub(crate) reason: String,
    /// When it became final.
    pub(crate) settled_at: Option<Timestamp>,
    /// When the row may be deleted: seven days after the code's expiry.
    pub(crate) keep_until_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The stored recipient.
    pub(crate) fn address(&self) -> AddressMac {
        AddressMac {
            key_id: self.address_key_id.clone(),
            mac: self.address_mac.clone(),
        }
    }
}

/// The rows of these keys, without a lock.
pub(crate) async fn find(db: &impl ConnectionTrait, keys: &[Uuid]) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        .all(db)
        .await
}

/// The rows of these keys, locked until the transaction ends, always in one order.
pub(crate) async fn lock(tx: &DatabaseTransaction, keys: &[Uuid]) -> Result<Vec<Model>, DbErr> {
    let rows = Entity::find()
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        .order_by_id_asc();
    rows.lock(LockType::Update).all(tx).await
}

/// Inserts the rows that are not there yet and returns the keys that were inserted.
pub(crate) async fn insert(tx: &DatabaseTransaction, rows: Vec<Model>) -> Result<Vec<Uuid>, DbErr> {
    Entity::insert_many(
        rows.into_iter()
            .map(|row| ActiveModel::from(row).reset_all()),
    )
    .on_conflict(OnConflict::column(Column::CodeId).do_nothing().to_owned())
    .exec_with_returning_keys(tx)
    .await
}

/// Begins an attempt on each of these idle mails.
pub(crate) async fn begin_sending(
    tx: &DatabaseTransaction,
    keys: &[Uuid],
    token: Uuid,
    lease: Timestamp,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(SENDING))
        .col_expr(Column::Token, Expr::value(token))
        .col_expr(Column::LeaseUntilAt, Expr::value(lease))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        .filter(Column::State.eq(IDLE))
        .exec(tx)
        .await
        .map(drop)
}

/// Moves the leases of what is still being sent under one of these tokens; returns the keys it found.
pub(crate) async fn renew(
    tx: &DatabaseTransaction,
    held: &[(Uuid, Uuid)],
    lease: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let renewed = Entity::update_many()
        .col_expr(Column::LeaseUntilAt, Expr::value(lease))
        .filter(Column::CodeId.is_in(held.iter().map(|(key, _)| *key)))
        .filter(Column::Token.is_in(held.iter().map(|(_, token)| *token)))
        .filter(Column::State.eq(SENDING))
        .exec_with_returning(tx)
        .await?;
    Ok(renewed.into_iter().map(|row| row.code_id).collect())
}

/// Ends every lease. Only for a process that owns the database alone: they are those of one that died.
pub(crate) async fn end_all_leases(tx: &DatabaseTransaction, now: Timestamp) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::LeaseUntilAt, Expr::value(now))
        .filter(Column::State.eq(SENDING))
        .exec(tx)
        .await
        .map(drop)
}

/// Counts the attempt whose lease has passed as one unknown.
pub(crate) async fn count_lapsed(tx: &DatabaseTransaction, keys: &[Uuid]) -> Result<(), DbErr> {
    let lapsed = Entity::update_many().filter(Column::CodeId.is_in(keys.iter().copied()));
    let lapsed = lapsed.col_expr(
        Column::UnknownAttempts,
        Expr::col(Column::UnknownAttempts).add(1),
    );
    set_idle(lapsed)
        .filter(Column::State.eq(SENDING))
        .exec(tx)
        .await
        .map(drop)
}

/// Notes acceptances. They are facts: whoever holds the claim, and even over a refusal.
pub(crate) async fn settle_accepted(
    tx: &DatabaseTransaction,
    keys: &[Uuid],
    now: Timestamp,
) -> Result<(), DbErr> {
    let accepted = Outcome::Accepted.as_str();
    Entity::update_many()
        .col_expr(Column::State, Expr::value(accepted))
        .col_expr(Column::Token, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::Reason, Expr::value(""))
        .col_expr(Column::SettledAt, Expr::value(now))
        .filter(Column::CodeId.is_in(keys.iter().copied()))
        .filter(Column::State.ne(accepted))
        .exec(tx)
        .await
        .map(drop)
}

/// Notes a final refusal; a fact, too, but never over another final state.
pub(crate) async fn settle_refused(
    tx: &DatabaseTransaction,
    key: Uuid,
    outcome: Outcome,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(outcome.as_str()))
        .col_expr(Column::Token, Expr::value(Option::<Uuid>::None))
        .col_expr(Column::Reason, Expr::value(reason))
        .col_expr(Column::SettledAt, Expr::value(now))
        .filter(Column::CodeId.eq(key))
        .filter(Column::State.is_in([IDLE, SENDING]))
        .exec(tx)
        .await
        .map(drop)
}

/// Notes attempts that were not final, each only under its own token; an unknown one is counted.
pub(crate) async fn settle_idle(
    tx: &DatabaseTransaction,
    key: Uuid,
    token: Uuid,
    outcome: Outcome,
) -> Result<(), DbErr> {
    let unknown = i32::from(outcome == Outcome::Unknown);
    let ours = Entity::update_many()
        .filter(Column::CodeId.eq(key))
        .filter(Column::Token.eq(token));
    let ours = ours.col_expr(
        Column::UnknownAttempts,
        Expr::col(Column::UnknownAttempts).add(unknown),
    );
    set_idle(ours)
        .filter(Column::State.eq(SENDING))
        .exec(tx)
        .await
        .map(drop)
}

/// Deletes up to `most` mails whose time is over, with their attempts; returns how many.
pub(crate) async fn purge(
    tx: &DatabaseTransaction,
    now: Timestamp,
    most: u64,
) -> Result<u64, DbErr> {
    let over = Query::select()
        .column(Column::CodeId)
        .from(Entity)
        .and_where(Column::KeepUntilAt.lt(now))
        .order_by(Column::KeepUntilAt, Order::Asc)
        .order_by(Column::CodeId, Order::Asc)
        .limit(most)
        .to_owned();
    super::attempts::delete_of(tx, over.clone()).await?;
    Ok(Entity::delete_many()
        .filter(Column::CodeId.in_subquery(over))
        .exec(tx)
        .await?
        .rows_affected)
}

fn set_idle(update: sea_orm::UpdateMany<Entity>) -> sea_orm::UpdateMany<Entity> {
    update
        .col_expr(Column::State, Expr::value(IDLE))
        .col_expr(Column::Token, Expr::value(Option::<Uuid>::None))
}
