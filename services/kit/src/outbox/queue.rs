//! The writer's side of the outbox: room in the relay's queue, rows in the writer's transaction,
//! and the handover after its commit.

use std::time::Duration;

use sea_orm::DbErr;
use tokio::sync::mpsc;

use super::{
    record::{Outgoing, Record},
    table,
};
use crate::db::Tx;

/// Where writers put their events. Clones share the relay's queue.
#[derive(Debug, Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    lease: Duration,
}

/// Room for events in the relay's queue; given back when dropped.
#[derive(Debug, Default)]
pub struct Room(Vec<mpsc::OwnedPermit<Outgoing>>);

impl Outbox {
    /// An outbox, and the queue that its relay reads.
    pub(super) fn new(length: usize, lease: Duration) -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(length);
        (Self { queue, lease }, receiver)
    }

    /// Reserves room for up to `events` events: fewer, or none, when the broker is away or events
    /// come in a burst. What has no room waits in the table.
    pub fn reserve(&self, events: usize) -> Room {
        let mut room = Vec::with_capacity(events);
        while room.len() < events {
            // A writer that waited here for an absent broker would keep sign-ups waiting behind it.
            let Ok(place) = self.queue.clone().try_reserve_owned() else {
                break;
            };
            room.push(place);
        }
        Room(room)
    }

    /// Writes the events' rows in the caller's transaction. The handovers, one for each, are for
    /// after its commit; dropping one leaves its row to the cold path.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert(
        &self,
        tx: &Tx,
        records: Vec<Record>,
        room: Room,
    ) -> Result<Vec<Handover>, DbErr> {
        // The first rows get the room that there is and are born claimed, so that no other relay
        // takes what is about to be handed over. The rest are born free: a claim that nobody works
        // off would only make them wait for its lease.
        table::insert(tx, self.lease, &records, room.0.len()).await?;
        let mut places = room.0.into_iter();
        let mut handovers = Vec::with_capacity(records.len());
        for record in records {
            handovers.push(Handover {
                place: places.next(),
                row: Outgoing {
                    id: record.id,
                    subject: record.subject.to_owned(),
                    headers: record.headers,
                    payload: record.payload,
                    created_at: tx.now(),
                    attempts: 0,
                    claim_no: 1,
                },
            });
        }
        Ok(handovers)
    }
}

/// A written row that the relay does not know of yet.
#[derive(Debug)]
#[must_use = "without it the event waits for the relay's next poll of the table"]
pub struct Handover {
    place: Option<mpsc::OwnedPermit<Outgoing>>,
    row: Outgoing,
}

impl Handover {
    /// Hands the row to the relay. To be called after the commit.
    pub fn deliver(self) {
        // It cannot be refused: the place was reserved, and a closed queue still waits for it.
        // Before the commit it could publish an event of a transaction that rolls back.
        if let Some(place) = self.place {
            place.send(self.row);
        }
    }
}
