//! The table `outbox` and every statement on it. A claim is a lease: whoever holds it publishes;
//! when it has run out, anybody may.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, ExprTrait as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};
use sea_orm_migration::{
    SchemaManager,
    prelude::Table,
    schema::{big_integer, big_integer_null, blob, integer, text, uuid},
};
use uuid::Uuid;

use super::record::{Outgoing, Record};
use crate::{
    bus::headers::{from_json, to_json},
    clock::Timestamp,
    db::{LEASES_AHEAD, Tx, lock_rows, update_given, update_given_later},
};

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    /// The event's id, UUID version 7.
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    aggregate_id: Uuid,
    subject: String,
    /// A JSON object.
    headers: String,
    payload: Vec<u8>,
    created_at: Timestamp,
    /// Failed attempts to publish.
    attempts: i32,
    /// Not before.
    next_at: Timestamp,
    /// Counts the claims: a failure is written only by the newest one.
    claim_no: i32,
    /// The claim's end.
    claimed_until: Timestamp,
    published_at: Option<Timestamp>,
    /// Number in the stream, as the broker's acknowledgement said.
    stream_sequence: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Creates the table; for the migrations of a service that has one.
///
/// # Errors
/// The database's.
pub async fn create_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table(Entity)
        .col(uuid(Column::Id).primary_key())
        .col(uuid(Column::AggregateId))
        .col(text(Column::Subject))
        .col(text(Column::Headers))
        .col(blob(Column::Payload))
        .col(big_integer(Column::CreatedAt))
        .col(integer(Column::Attempts))
        .col(big_integer(Column::NextAt))
        .col(integer(Column::ClaimNo))
        .col(big_integer(Column::ClaimedUntil))
        .col(big_integer_null(Column::PublishedAt))
        .col(big_integer_null(Column::StreamSequence))
        .to_owned();
    manager.create_table(table).await?;
    // Only what is still to be published: the history is never read. By when it is due, so that a
    // claim passes over nothing that is to wait; and in the order of creation, for the age of the
    // oldest.
    for (name, column) in [("outbox_due", "next_at"), ("outbox_waiting", "id")] {
        let waiting =
            format!("CREATE INDEX {name} ON outbox ({column}) WHERE published_at IS NULL");
        manager
            .get_connection()
            .execute_unprepared(&waiting)
            .await?;
    }
    Ok(())
}

/// Drops the table.
///
/// # Errors
/// The database's.
pub async fn drop_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .drop_table(Table::drop().table(Entity).to_owned())
        .await
}

/// Inserts the rows; the first `claimed` of them are born claimed for `lease`.
pub(super) async fn insert(
    tx: &Tx,
    lease: Duration,
    records: &[Record],
    claimed: usize,
) -> Result<(), DbErr> {
    if records.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let mut rows = Vec::with_capacity(records.len());
    for (place, record) in records.iter().enumerate() {
        rows.push(ActiveModel {
            id: Set(record.id),
            aggregate_id: Set(record.aggregate_id),
            subject: Set(record.subject.to_owned()),
            headers: Set(to_json(&record.headers)),
            payload: Set(record.payload.to_vec()),
            created_at: Set(now),
            attempts: Set(0),
            next_at: Set(now),
            claim_no: Set(1),
            claimed_until: Set(if place < claimed { now + lease } else { now }),
            published_at: Set(None),
            stream_sequence: Set(None),
        });
    }
    Entity::insert_many(rows)
        .exec_without_returning(&tx.later())
        .await?;
    Ok(())
}

/// Claims up to `most` due rows for `lease`, longest due first.
pub(super) async fn claim(tx: &Tx, lease: Duration, most: u64) -> Result<Vec<Outgoing>, DbErr> {
    let due = claimable(tx.now(), lease, most).all(tx).await?;
    Entity::update_many()
        // What a slow owner writes later under the old number finds no row.
        .col_expr(Column::ClaimNo, Expr::col(Column::ClaimNo).add(1))
        .col_expr(Column::ClaimedUntil, Expr::value(tx.now() + lease))
        .filter(Column::Id.is_in(due.iter().map(|row| row.id)))
        .exec(tx)
        .await?;
    Ok(due.into_iter().map(outgoing).collect())
}

/// Locks these rows, as everybody who writes several of them does first.
pub(super) async fn lock(tx: &Tx, rows: impl Iterator<Item = Uuid>) -> Result<(), DbErr> {
    lock_rows(tx, "outbox", "id", rows).await
}

/// Moves the end of the claims that these rows are still held under: later to renew them, to now to
/// let go.
pub(super) async fn set_claims(tx: &Tx, until: Timestamp, rows: &[Outgoing]) -> Result<(), DbErr> {
    // Only where the claim is the newest: a late renewal must not take a row back from its next
    // owner.
    let sql = "UPDATE outbox SET claimed_until = $1 FROM given
               WHERE outbox.id = given.id AND outbox.claim_no = given.claim_no
                 AND published_at IS NULL";
    let mut held = Vec::with_capacity(rows.len());
    for row in rows {
        held.push([row.id.into(), row.claim_no.into()]);
    }
    lock(tx, rows.iter().map(|row| row.id)).await?;
    update_given(tx, ["id", "claim_no"], sql, &[until.into()], &held).await?;
    Ok(())
}

/// Marks what the broker acknowledged, with its number in the stream.
pub(super) async fn mark_published(tx: &Tx, acked: &[(Uuid, i64)]) -> Result<(), DbErr> {
    // No `claim_no` here: that it is stored is a fact, whoever holds the claim by now. With one, a
    // row whose claim was lost meanwhile would be published again.
    let sql = "UPDATE outbox SET published_at = $1, stream_sequence = given.stream_sequence
               FROM given WHERE outbox.id = given.id";
    let mut rows = Vec::with_capacity(acked.len());
    for (id, sequence) in acked {
        rows.push([(*id).into(), (*sequence).into()]);
    }
    let columns = ["id", "stream_sequence"];
    update_given_later(tx, columns, sql, &[tx.now().into()], &rows).await
}

/// Counts a failed attempt and lets go of the rows until their next one.
pub(super) async fn mark_failed(tx: &Tx, failed: &[(Timestamp, Outgoing)]) -> Result<(), DbErr> {
    // Only where the claim is still ours, and not where another relay has published meanwhile: its
    // schedule stands, and a row is never due again once it is marked.
    let sql = "UPDATE outbox
               SET claimed_until = $1, attempts = attempts + 1, next_at = given.next_at
               FROM given WHERE outbox.id = given.id AND outbox.claim_no = given.claim_no
                 AND published_at IS NULL";
    let mut rows = Vec::with_capacity(failed.len());
    for (next_at, row) in failed {
        rows.push([row.id.into(), row.claim_no.into(), (*next_at).into()]);
    }
    let columns = ["id", "claim_no", "next_at"];
    update_given(tx, columns, sql, &[tx.now().into()], &rows).await?;
    Ok(())
}

/// Ends every claim. Only for a process that owns the database alone: the claims are those of one
/// that died.
pub(super) async fn end_stale_claims(tx: &Tx) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Expr::value(tx.now()))
        .filter(Column::PublishedAt.is_null())
        .filter(Column::ClaimedUntil.gt(tx.now()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes up to `most` rows that were published before `before` and says how many.
pub(super) async fn purge(tx: &Tx, before: Timestamp, most: u64) -> Result<u64, DbErr> {
    // Ids grow with time and rows are published after they are made: a bound on the id lets the
    // primary key find them, without an index on `published_at` that every commit would pay for.
    let seconds = u64::try_from(before.0.div_euclid(1_000_000)).unwrap_or(0);
    let oldest_kept = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
    let old = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(oldest_kept))
        .filter(Column::PublishedAt.lt(before))
        .order_by_id_asc()
        .limit(most)
        .into_query();
    let purged = Entity::delete_many()
        .filter(Column::Id.in_subquery(old))
        .exec(tx)
        .await?;
    Ok(purged.rows_affected)
}

/// Whether a row is due.
pub(super) async fn is_any_due(
    db: &impl ConnectionTrait,
    now: Timestamp,
    lease: Duration,
) -> Result<bool, DbErr> {
    // Asked before a claim, so that a tick with nothing to do costs no write transaction.
    let any = any_due(now, lease).into_tuple::<Uuid>();
    Ok(any.one(db).await?.is_some())
}

/// Whether a row waits until after `moment`.
pub(super) async fn is_any_due_after(
    db: &impl ConnectionTrait,
    moment: Timestamp,
) -> Result<bool, DbErr> {
    let any = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::PublishedAt.is_null())
        .filter(Column::NextAt.gt(moment))
        .limit(1);
    Ok(any.into_tuple::<Uuid>().one(db).await?.is_some())
}

/// Makes rows due now that wait for longer than any row does: the clock was set back since they
/// were written. Returns how many.
pub(super) async fn hurry(tx: &Tx, longest_wait: Duration) -> Result<u64, DbErr> {
    let hurried = Entity::update_many()
        .col_expr(Column::NextAt, Expr::value(tx.now()))
        .filter(Column::PublishedAt.is_null())
        .filter(Column::NextAt.gt(tx.now() + longest_wait))
        .exec(tx)
        .await?;
    Ok(hurried.rows_affected)
}

/// How many rows wait, counted to `most`, and since when the oldest does.
pub(super) async fn waiting(
    db: &impl ConnectionTrait,
    most: u64,
) -> Result<(usize, Option<Timestamp>), DbErr> {
    let created: Vec<Timestamp> = oldest(most).into_tuple().all(db).await?;
    Ok((created.len(), created.first().copied()))
}

/// What the relay asks the table at every tick, as `backend` gets it: for who explains it.
#[cfg(feature = "testing")]
pub fn looks(backend: sea_orm::DbBackend) -> [sea_orm::Statement; 3] {
    let (now, lease) = (Timestamp(1), Duration::from_secs(1));
    [
        any_due(now, lease).build(backend),
        claimable(now, lease, 512).build(backend),
        oldest(9).build(backend),
    ]
}

fn claimable(now: Timestamp, lease: Duration, most: u64) -> sea_orm::Select<Entity> {
    due(now, lease)
        .order_by_asc(Column::NextAt)
        .limit(most)
        // Two relays never claim the same row: on Postgres they skip each other's locked rows, and
        // nobody waits; on SQLite the transaction is the only writer.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
}

fn any_due(now: Timestamp, lease: Duration) -> sea_orm::Select<Entity> {
    due(now, lease).select_only().column(Column::Id).limit(1)
}

fn oldest(most: u64) -> sea_orm::Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::CreatedAt)
        .filter(Column::PublishedAt.is_null())
        // In the order of `outbox_waiting`, so that a look reads `most` entries and costs the same
        // however many wait.
        .order_by_id_asc()
        .limit(most)
}

/// What nobody holds and may be published now.
fn due(now: Timestamp, lease: Duration) -> sea_orm::Select<Entity> {
    // A claim that ends later than any does was made before the clock was set back: nobody renews
    // it, and without this its rows would wait until the clock has caught up.
    let unclaimed = Column::ClaimedUntil
        .lte(now)
        .or(Column::ClaimedUntil.gt(now + lease * LEASES_AHEAD));
    Entity::find()
        .filter(Column::PublishedAt.is_null())
        .filter(Column::NextAt.lte(now))
        .filter(unclaimed)
}

fn outgoing(row: Model) -> Outgoing {
    Outgoing {
        id: row.id,
        headers: from_json(&row.headers),
        subject: row.subject,
        payload: row.payload.into(),
        created_at: row.created_at,
        attempts: row.attempts,
        // The row was read before the claim's update raised it.
        claim_no: row.claim_no + 1,
    }
}
