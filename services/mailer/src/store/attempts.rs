//! The table `attempts`: what became of each attempt, for people. Nothing is decided by it.

use kit::clock::Timestamp;
use sea_orm::{
    Condition, DatabaseTransaction, DbErr, QueryOrder as _, QuerySelect as _, entity::prelude::*,
    sea_query::SelectStatement,
};

/// One attempt to send one mail.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub(crate) struct Model {
    /// UUID version 7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    /// The mail's key.
    pub(crate) code_id: Uuid,
    /// The account's id.
    pub(crate) account_id: Uuid,
    /// 1 for the mail's first, then counting.
    pub(crate) attempt: i32,
    /// `domain::outcome`'s word.
    pub(crate) outcome: String,
    /// The mail server's answer, redacted.
    pub(crate) reply: String,
    /// When it ended.
    pub(crate) ended_at: Timestamp,
    /// 32 hexadecimal digits; empty when it was not traced.
    pub(crate) trace_id: String,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a page begins: behind this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Its end.
    pub(crate) ended_at: Timestamp,
    /// Its id, where several ended at once.
    pub(crate) id: Uuid,
}

/// Inserts the attempts.
pub(crate) async fn insert(tx: &DatabaseTransaction, attempts: Vec<Model>) -> Result<(), DbErr> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows = attempts
        .into_iter()
        .map(|row| ActiveModel::from(row).reset_all());
    Entity::insert_many(rows)
        .exec_without_returning(tx)
        .await
        .map(drop)
}

/// One page, newest first: of one mail or of all, behind `after`.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    code_id: Option<Uuid>,
    after: Option<Position>,
    size: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut page = Entity::find()
        .order_by_desc(Column::EndedAt)
        .order_by_desc(Column::Id)
        .limit(size);
    if let Some(code_id) = code_id {
        page = page.filter(Column::CodeId.eq(code_id));
    }
    if let Some(after) = after {
        let same_moment = Condition::all()
            .add(Column::EndedAt.eq(after.ended_at))
            .add(Column::Id.lt(after.id));
        page = page.filter(
            Condition::any()
                .add(Column::EndedAt.lt(after.ended_at))
                .add(same_moment),
        );
    }
    page.all(db).await
}

/// Deletes the attempts of these mails.
pub(crate) async fn delete_of(
    tx: &DatabaseTransaction,
    keys: SelectStatement,
) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::CodeId.in_subquery(keys))
        .exec(tx)
        .await
        .map(drop)
}
