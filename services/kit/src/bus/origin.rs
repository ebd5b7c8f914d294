//! Which message it is, whatever becomes of it and whoever asks.

use std::sync::Arc;

use sea_orm::{ColumnTrait as _, Condition, DbErr, EntityTrait, QueryFilter as _};

use crate::{clock::Timestamp, db::Tx};

/// What a durable reads. A stream that is made again counts from 1 again: its creation time tells
/// them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) stream: String,
    pub(super) stream_created: Timestamp,
    pub(super) durable: String,
}

/// One message of it, by its number in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) origin: Arc<Origin>,
    pub(super) sequence: i64,
}

/// Deletes the rows of these messages; `columns` hold stream, its creation time, durable and
/// number.
pub(super) async fn delete_of<E: EntityTrait>(
    tx: &Tx,
    columns: [E::Column; 4],
    sources: &[&Source],
) -> Result<(), DbErr> {
    if sources.is_empty() {
        return Ok(()); // no condition at all would be met by every row
    }
    let [stream, stream_created, durable, sequence] = columns;
    let mut any = Condition::any();
    for source in sources {
        any = any.add(
            Condition::all()
                .add(stream.eq(&source.origin.stream))
                .add(stream_created.eq(source.origin.stream_created))
                .add(durable.eq(&source.origin.durable))
                .add(sequence.eq(source.sequence)),
        );
    }
    E::delete_many().filter(any).exec(tx).await?;
    Ok(())
}
