//! The table `trials` and every statement on it: how often the handling of a message that came
//! again was begun. The row is committed before the handling begins and goes with its end, so that
//! what is left of it is a crash.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, DbErr, ExprTrait as _, QuerySelect as _, QueryTrait as _, entity::prelude::*,
    sea_query::OnConflict,
};
use sea_orm_migration::{
    SchemaManager,
    prelude::{Index, Table},
    schema::{big_integer, integer, text},
};

use super::origin::{self, Source};
use crate::{clock::Timestamp, db::Tx};

/// A message lives seven days in its stream: what is older than this belongs to none.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trials")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    stream: String,
    #[sea_orm(primary_key, auto_increment = false)]
    stream_created: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    durable: String,
    #[sea_orm(primary_key, auto_increment = false)]
    sequence: i64,
    count: i32,
    /// When the newest one began.
    last_at: Timestamp,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What tells the messages of all streams apart, in `Source`'s order.
const SOURCE: [Column; 4] = [
    Column::Stream,
    Column::StreamCreated,
    Column::Durable,
    Column::Sequence,
];

pub(super) async fn create_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table(Entity)
        .col(text(Column::Stream))
        .col(big_integer(Column::StreamCreated))
        .col(text(Column::Durable))
        .col(big_integer(Column::Sequence))
        .col(integer(Column::Count))
        .col(big_integer(Column::LastAt))
        .primary_key(
            Index::create()
                .col(Column::Stream)
                .col(Column::StreamCreated)
                .col(Column::Durable)
                .col(Column::Sequence),
        )
        .to_owned();
    manager.create_table(table).await
}

pub(super) async fn drop_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::drop().table(Entity).to_owned();
    manager.drop_table(table).await
}

/// Counts one more trial and says how many there have been, this one included.
pub(super) async fn count_one_more(tx: &Tx, source: &Source) -> Result<i32, DbErr> {
    let first = ActiveModel {
        stream: Set(source.origin.stream.clone()),
        stream_created: Set(source.origin.stream_created),
        durable: Set(source.origin.durable.clone()),
        sequence: Set(source.sequence),
        count: Set(1),
        last_at: Set(tx.now()),
    };
    let again = OnConflict::columns(SOURCE)
        .value(Column::Count, Expr::col((Entity, Column::Count)).add(1))
        .update_column(Column::LastAt)
        .to_owned();
    let counted = Entity::insert(first).on_conflict(again);
    Ok(counted.exec_with_returning(tx).await?.count)
}

/// Forgets the trials of these messages.
pub(super) async fn delete(tx: &Tx, sources: &[&Source]) -> Result<(), DbErr> {
    origin::delete_of::<Entity>(tx, SOURCE, sources).await
}

/// Deletes what no message can have left any more. These are few: a broker that lost its data
/// leaves them behind.
pub(super) async fn purge(tx: &Tx, most: u64) -> Result<u64, DbErr> {
    let old = Entity::find()
        .select_only()
        .column(Column::Sequence)
        .filter(Column::LastAt.lt(tx.now() - KEPT))
        .limit(most)
        .into_query();
    let purged = Entity::delete_many()
        .filter(Column::LastAt.lt(tx.now() - KEPT))
        .filter(Column::Sequence.in_subquery(old))
        .exec(tx)
        .await?;
    Ok(purged.rows_affected)
}
