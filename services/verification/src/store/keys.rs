//! Codes by the key that they were made from: what still names a key, and what waits for one that
//! is not known here.

use kit::clock::Timestamp;
use sea_orm::{DbErr, QueryOrder as _, QuerySelect as _, entity::prelude::*};

use super::codes::{CodeState, Column, Entity, MailState};

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
