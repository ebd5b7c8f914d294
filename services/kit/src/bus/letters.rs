//! The table `dead_letters` and every statement on it: messages that could not be handled, each
//! with its reason. A row is committed with the batch that its message came in, and its message is
//! acked after that.

use std::{sync::Arc, time::Duration};

use async_nats::HeaderMap;
use proto::events::headers;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbErr, ExprTrait as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, entity::prelude::*, sea_query::OnConflict,
};
use sea_orm_migration::{
    SchemaManager,
    prelude::{Index, Table},
    schema::{big_integer, blob, integer, text, uuid},
};

use super::{
    delivery::{Content, Delivery, Left, Reason},
    headers::{from_json, to_json},
    origin::{self, Origin, Source},
};
use crate::{clock::Timestamp, db::Tx};

/// How long a dead letter stays.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A message that could not be handled. Its payload may name a person, so it is never printed.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letters")]
pub(crate) struct Model {
    /// UUID version 7: newer ones are larger.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(super) id: Uuid,
    /// The stream that it came from.
    pub(super) stream: String,
    /// When that stream was made.
    pub(super) stream_created: Timestamp,
    /// Who read it.
    pub(super) durable: String,
    /// Its number in the stream.
    pub(super) sequence: i64,
    /// CloudEvents `id`, as it was sent.
    pub(super) event_id: String,
    /// CloudEvents `subject`, as it was sent: the account's id.
    pub(super) ce_subject: String,
    /// The subject that it was published to.
    pub(super) subject: String,
    headers: String,
    /// The event.
    pub(super) payload: Vec<u8>,
    /// Why it could not be handled: lower-case words with underscores.
    pub(super) reason: String,
    /// How often its handling was begun, replays included.
    pub(super) attempts: i32,
    /// When the stream stored it.
    pub(super) first_at: Timestamp,
    /// When it was given up last.
    pub(super) last_at: Timestamp,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeadLetter({}, {})", self.id, self.reason)
    }
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

impl Model {
    pub(super) fn headers(&self) -> HeaderMap {
        from_json(&self.headers)
    }

    /// The message as its handler saw it, to be handled again.
    pub(super) fn delivery(&self) -> Delivery {
        let content = Content {
            subject: self.subject.clone(),
            headers: self.headers(),
            payload: self.payload.clone().into(),
        };
        let origin = Origin {
            stream: self.stream.clone(),
            stream_created: self.stream_created,
            durable: self.durable.clone(),
        };
        let source = Source {
            origin: Arc::new(origin),
            sequence: self.sequence,
        };
        let attempts = self.attempts.saturating_add(1);
        Delivery::new(content, source, self.first_at, attempts, Left::Letter)
    }
}

pub(super) async fn create_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table(Entity)
        .col(uuid(Column::Id).primary_key())
        .col(text(Column::Stream))
        .col(big_integer(Column::StreamCreated))
        .col(text(Column::Durable))
        .col(big_integer(Column::Sequence))
        .col(text(Column::EventId))
        .col(text(Column::CeSubject))
        .col(text(Column::Subject))
        .col(text(Column::Headers))
        .col(blob(Column::Payload))
        .col(text(Column::Reason))
        .col(integer(Column::Attempts))
        .col(big_integer(Column::FirstAt))
        .col(big_integer(Column::LastAt))
        .to_owned();
    manager.create_table(table).await?;
    let one_each = Index::create()
        .name("dead_letters_source")
        .table(Entity)
        .col(Column::Stream)
        .col(Column::StreamCreated)
        .col(Column::Durable)
        .col(Column::Sequence)
        .unique()
        .to_owned();
    manager.create_index(one_each).await?;
    // An account's own are found by whoever has to forget them.
    let by_account = Index::create()
        .name("dead_letters_ce_subject")
        .table(Entity)
        .col(Column::CeSubject)
        .to_owned();
    manager.create_index(by_account).await
}

pub(super) async fn drop_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::drop().table(Entity).to_owned();
    manager.drop_table(table).await
}

/// Writes a dead letter for each, or, where there is one already, the newest reason.
pub(super) async fn insert(tx: &Tx, rejected: &[(&Delivery, Reason)]) -> Result<(), DbErr> {
    if rejected.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(rejected.len());
    for (delivery, reason) in rejected {
        let Source { origin, sequence } = &delivery.source;
        rows.push(ActiveModel {
            id: Set(tx.uuid_v7()),
            stream: Set(origin.stream.clone()),
            stream_created: Set(origin.stream_created),
            durable: Set(origin.durable.clone()),
            sequence: Set(*sequence),
            event_id: Set(storable(delivery.event_id())),
            ce_subject: Set(storable(delivery.header(headers::SUBJECT))),
            subject: Set(storable(delivery.subject())),
            headers: Set(to_json(delivery.headers())),
            payload: Set(delivery.payload().to_vec()),
            reason: Set((*reason).to_owned()),
            attempts: Set(delivery.attempts),
            first_at: Set(delivery.stored_at),
            last_at: Set(tx.now()),
        });
    }
    let again = OnConflict::columns(SOURCE)
        .update_columns([Column::Reason, Column::LastAt])
        .value(
            Column::Attempts,
            Expr::col((Entity, Column::Attempts)).add(1),
        )
        .to_owned();
    let inserted = Entity::insert_many(rows).on_conflict(again);
    inserted.exec_without_returning(tx).await?;
    Ok(())
}

/// Postgres takes no NUL in a text, and what strangers publish may hold one.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Deletes the dead letters of these messages: they were handled after all.
pub(super) async fn delete_of(tx: &Tx, sources: &[&Source]) -> Result<(), DbErr> {
    origin::delete_of::<Entity>(tx, SOURCE, sources).await
}

/// Deletes up to `most` of those that were given up long ago.
pub(super) async fn purge(tx: &Tx, most: u64) -> Result<u64, DbErr> {
    let old = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::LastAt.lt(tx.now() - KEPT))
        .order_by_asc(Column::Id)
        .limit(most)
        .into_query();
    let purged = Entity::delete_many()
        .filter(Column::Id.in_subquery(old))
        .exec(tx)
        .await?;
    Ok(purged.rows_affected)
}

/// Which of them; what is missing asks for nothing.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) reason: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) account_id: Option<Uuid>,
    /// Given up before this.
    pub(super) before: Option<Timestamp>,
    /// Given up after this.
    pub(super) after: Option<Timestamp>,
}

/// Up to `most` of them, newest first, that are older than the one with the id `next_to`.
pub(super) async fn newest_first(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    next_to: Option<Uuid>,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    let account_id = wanted.account_id.map(|id| id.to_string());
    Entity::find()
        .filter(
            Condition::all()
                .add_option(wanted.reason.as_ref().map(|it| Column::Reason.eq(it)))
                .add_option(wanted.subject.as_ref().map(|it| Column::Subject.eq(it)))
                .add_option(account_id.map(|it| Column::CeSubject.eq(it)))
                .add_option(wanted.before.map(|it| Column::LastAt.lt(it)))
                .add_option(wanted.after.map(|it| Column::LastAt.gt(it)))
                .add_option(next_to.map(|it| Column::Id.lt(it))),
        )
        .order_by_desc(Column::Id)
        .limit(most)
        .all(db)
        .await
}

pub(super) async fn by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Deletes those with these ids and says how many there were.
pub(super) async fn delete(tx: &Tx, ids: &[Uuid]) -> Result<u64, DbErr> {
    let deleted = Entity::delete_many()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected)
}
