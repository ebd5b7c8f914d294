//! Table `idempotency_keys`: which key made which account. Read and written inside
//! `create_account`'s transaction; `commands::forget_keys` clears what is too old to count.

use std::time::Duration;

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{
    ExprTrait as _,
    entity::prelude::*,
    sea_query::{OnConflict, Query},
};

/// How long a repetition under the same key is recognised.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A key that made an account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub(crate) struct Model {
    /// Keyed hash of the key, 32 octets.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) key_hash: Vec<u8>,
    /// Keyed hash of the request, 32 octets.
    pub(crate) fingerprint: Vec<u8>,
    /// The account it made.
    pub(crate) account_id: Uuid,
    /// When, by the database's clock.
    pub(crate) created_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Takes the keys that are free or too old to count, and returns their hashes. The others made an
/// account before.
pub(crate) async fn take(tx: &Tx, mut keys: Vec<Model>) -> Result<Vec<Vec<u8>>, DbErr> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    // One order for all transactions: no deadlocks.
    keys.sort_unstable_by(|a, b| a.key_hash.cmp(&b.key_hash));
    // In the statement itself, and not by `delete_old`: whether a key counts must not depend on
    // when the housekeeping last ran.
    let unless_recent = OnConflict::column(Column::KeyHash)
        .update_columns([Column::Fingerprint, Column::AccountId, Column::CreatedAt])
        .action_and_where(Expr::col((Entity, Column::CreatedAt)).lte(tx.now() - LIFETIME))
        .to_owned();
    let rows = keys
        .into_iter()
        .map(|key| ActiveModel::from(key).reset_all());
    Entity::insert_many(rows)
        .on_conflict(unless_recent)
        .exec_with_returning_keys(tx)
        .await
}

/// The rows of these hashes, in no order.
pub(crate) async fn by_hashes(
    tx: &Tx,
    hashes: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<Model>, DbErr> {
    let hashes: Vec<_> = hashes.into_iter().collect();
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    Entity::find()
        .filter(Column::KeyHash.is_in(hashes))
        .all(tx)
        .await
}

/// Gives keys back whose account was not made: only successes are kept.
pub(crate) async fn give_back(tx: &Tx, hashes: Vec<Vec<u8>>) -> Result<(), DbErr> {
    if hashes.is_empty() {
        return Ok(());
    }
    Entity::delete_many()
        .filter(Column::KeyHash.is_in(hashes))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes at most `limit` keys that are too old to count, oldest first, and returns how many.
pub(crate) async fn delete_old(tx: &Tx, limit: u64) -> Result<u64, DbErr> {
    let old = Query::select()
        .column(Column::KeyHash)
        .from(Entity)
        .and_where(Column::CreatedAt.lte(tx.now() - LIFETIME))
        .order_by(Column::CreatedAt, sea_orm::Order::Asc)
        .limit(limit)
        .to_owned();
    let deleted = Entity::delete_many()
        .filter(Column::KeyHash.in_subquery(old))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected)
}
