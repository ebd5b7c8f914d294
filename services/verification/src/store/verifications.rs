//! Whose codes they are. Locking an account's row here is what makes its guesses, resends and replacements wait for
//! each other on Postgres; on SQLite a write transaction is alone anyway.

use std::collections::HashMap;

use kit::clock::Timestamp;
use sea_orm::{
    ActiveValue::Set,
    DatabaseTransaction, DbErr, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, OnConflict},
};

use super::entities::{
    code,
    verification::{ActiveModel, Column, Entity, Model},
};

/// Writes those that are new and returns their accounts. For an account that is known nothing is written.
pub(crate) async fn insert_new(
    tx: &DatabaseTransaction,
    rows: Vec<Model>,
) -> Result<Vec<Uuid>, DbErr> {
    let rows = rows
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    Entity::insert_many(rows)
        .on_conflict(
            OnConflict::column(Column::AccountId)
                .do_nothing()
                .to_owned(),
        )
        .exec_with_returning_keys(tx)
        .await
}

/// One account's row, locked until the transaction ends.
pub(crate) async fn lock(
    tx: &DatabaseTransaction,
    account_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(account_id)
        .lock_exclusive()
        .one(tx)
        .await
}

/// Those accounts' rows that nobody else has locked, locked until the transaction ends.
pub(crate) async fn lock_free(
    tx: &DatabaseTransaction,
    accounts: Vec<Uuid>,
) -> Result<HashMap<Uuid, Model>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    Ok(by_account(rows))
}

/// One account's row.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(account_id).one(db).await
}

/// Many accounts' rows.
pub(crate) async fn find_all(
    db: &impl ConnectionTrait,
    accounts: Vec<Uuid>,
) -> Result<HashMap<Uuid, Model>, DbErr> {
    Ok(by_account(
        Entity::find()
            .filter(Column::AccountId.is_in(accounts))
            .all(db)
            .await?,
    ))
}

/// The newest account with this address.
pub(crate) async fn by_address(
    db: &impl ConnectionTrait,
    address_key: &str,
) -> Result<Option<Model>, DbErr> {
    let same = Entity::find().filter(Column::AddressKey.eq(address_key));
    same.order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::AccountId)
        .one(db)
        .await
}

/// The account that a code belongs to.
pub(crate) async fn account_of(
    db: &impl ConnectionTrait,
    code_id: Uuid,
) -> Result<Option<Uuid>, DbErr> {
    let code = code::Entity::find_by_id(code_id)
        .select_only()
        .column(code::Column::AccountId);
    code.into_tuple().one(db).await
}

/// Marks the account verified. To be called under its lock.
pub(crate) async fn mark_verified(
    tx: &DatabaseTransaction,
    now: Timestamp,
    account_id: Uuid,
) -> Result<(), DbErr> {
    let verified = ActiveModel {
        account_id: Set(account_id),
        verified_at: Set(Some(now)),
        ..Default::default()
    };
    Entity::update(verified)
        .exec_without_returning(tx)
        .await
        .map(drop)
}

fn by_account(rows: Vec<Model>) -> HashMap<Uuid, Model> {
    rows.into_iter().map(|row| (row.account_id, row)).collect()
}
