//! Table `verifications`: one row an account, never deleted. Locking it is what makes an account's
//! guesses, resends and replacements wait for each other on Postgres; on SQLite a write transaction
//! is alone anyway.

use std::{collections::HashMap, fmt};

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{
    ActiveValue::Set,
    DbErr, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType, OnConflict},
};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "verifications")]
pub(crate) struct Model {
    /// From AccountCreated: the natural key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: Uuid,
    pub(crate) email: String,
    /// The address in the form in which a resend looks it up.
    pub(crate) address_key: String,
    /// For the greeting.
    pub(crate) display_name: String,
    /// For the mail's language.
    pub(crate) locale: String,
    /// When the account was committed, by accounts' clock.
    pub(crate) account_created_at: Timestamp,
    /// When AccountCreated was taken in.
    pub(crate) created_at: Timestamp,
    /// When the right code was confirmed.
    pub(crate) verified_at: Option<Timestamp>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verification({}, <redacted>)", self.account_id)
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes those that are new and returns their accounts. For an account that is known nothing is
/// written.
pub(crate) async fn insert_new(tx: &Tx, rows: Vec<Model>) -> Result<Vec<Uuid>, DbErr> {
    let rows = rows
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    Entity::insert_many(rows)
        // An event that comes twice meets its row, whichever replica wrote it.
        .on_conflict(
            OnConflict::column(Column::AccountId)
                .do_nothing()
                .to_owned(),
        )
        .exec_with_returning_keys(tx)
        .await
}

/// One account's row, locked until the transaction ends.
pub(crate) async fn lock(tx: &Tx, account_id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(account_id)
        .lock_exclusive()
        .one(tx)
        .await
}

/// Those accounts' rows that nobody else has locked, locked until the transaction ends.
pub(crate) async fn lock_free(tx: &Tx, accounts: Vec<Uuid>) -> Result<HashMap<Uuid, Model>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        // Who takes many at once waits for nobody: it would hold all the others meanwhile.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    Ok(by_account(rows))
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(account_id).one(db).await
}

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

/// Marks the account verified. To be called under its lock.
pub(crate) async fn mark_verified(tx: &Tx, account_id: Uuid) -> Result<(), DbErr> {
    let verified = ActiveModel {
        account_id: Set(account_id),
        verified_at: Set(Some(tx.now())),
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
