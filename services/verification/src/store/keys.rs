//! Codes by the key that they were made from: what still names a key, and what waits for one that
//! is gone, or not known here.

use std::time::Duration;

use kit::{clock::Timestamp, db::Tx};
use sea_orm::{
    DbErr, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use super::{
    codes::{CodeState, Column, Entity, MailState, Model},
    mails::unclaimed,
};

/// How many codes could still confirm, by key, and until when the last of them could.
pub(crate) async fn live_by_key(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<(String, i64, Timestamp)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::KeyId)
        .column_as(Column::Id.count(), "codes")
        .column_as(Column::ExpiresAt.max(), "until")
        .filter(Column::State.eq(CodeState::Live))
        .filter(Column::ExpiresAt.gt(now))
        .group_by(Column::KeyId)
        .into_tuple()
        .all(db)
        .await
}

/// Up to `most` unclaimed codes of these keys whose mail is pending: code and account.
pub(crate) async fn of_keys(
    reader: &impl ConnectionTrait,
    now: Timestamp,
    lease: Duration,
    keys: &[String],
    most: u64,
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    pending_of_keys(now, lease, keys)
        .limit(most)
        .select_only()
        .column(Column::Id)
        .column(Column::AccountId)
        .into_tuple()
        .all(reader)
        .await
}

/// Those of these codes for which that is still so, now that their accounts are locked; none of
/// them can be claimed until the transaction ends.
pub(crate) async fn still_of_keys(
    tx: &Tx,
    lease: Duration,
    keys: &[String],
    codes: Vec<Uuid>,
) -> Result<Vec<Model>, DbErr> {
    pending_of_keys(tx.now(), lease, keys)
        .filter(Column::Id.is_in(codes))
        .order_by_asc(Column::Id)
        // Who is claiming one just now has it.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await
}

/// How many mails are pending, by key.
pub(crate) async fn pending_by_key(
    reader: &impl ConnectionTrait,
) -> Result<Vec<(String, i64)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::KeyId)
        .column_as(Column::Id.count(), "mails")
        .filter(Column::MailState.eq(MailState::Pending))
        .group_by(Column::KeyId)
        .into_tuple()
        .all(reader)
        .await
}

/// A key, not one of these, that a due mail waits for.
pub(crate) async fn other_key_waited_for(
    reader: &impl ConnectionTrait,
    now: Timestamp,
    keys: Vec<String>,
) -> Result<Option<String>, DbErr> {
    let waiting = Entity::find()
        .select_only()
        .column(Column::KeyId)
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::NextAttemptAt.lte(now))
        .filter(Column::KeyId.is_not_in(keys))
        .order_by_asc(Column::NextAttemptAt)
        .limit(1);
    waiting.into_tuple().one(reader).await
}

fn pending_of_keys(now: Timestamp, lease: Duration, keys: &[String]) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Column::MailState.eq(MailState::Pending))
        .filter(Column::State.eq(CodeState::Live))
        .filter(Column::KeyId.is_in(keys))
        .filter(unclaimed(now, lease))
}
