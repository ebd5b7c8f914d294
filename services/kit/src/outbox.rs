//! The transactional outbox: an event's row commits with the state that it tells of, and the relay publishes it
//! afterwards, however often the process dies in between. What was published stays as history.
//!
//! *Hot path:* after the commit the writer hands the row's bytes to its own relay in memory; nothing is read back.
//! Room in that queue is reserved before the insert, so that a row is born claimed only if it will be handed over.
//! *Cold path:* a row that is unclaimed, or outlives its claim, is claimed from the table by any relay.

mod headers;
mod metrics;
mod publish;
mod relay;
mod table;

use std::{fmt, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use opentelemetry::Context;
use proto::events::{Event, headers as event_headers};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use relay::{Relay, Settings};
pub use table::{create_table, drop_table};

use crate::{clock::Timestamp, propagation};

/// An event that is to be written to the outbox. Its payload may name a person, so it is never printed.
#[derive(Clone)]
pub struct Record {
    /// CloudEvents `id` and the row's key.
    id: Uuid,
    /// What the event is about.
    aggregate_id: Uuid,
    subject: &'static str,
    headers: HeaderMap,
    payload: Bytes,
}

impl Record {
    /// Encodes an event that happened to `aggregate_id` at `at`, with CloudEvents headers in binary mode. `context`
    /// is its creation span's; it travels in the row, so that whoever publishes continues the right trace.
    pub fn new<E: Event>(
        id: Uuid,
        aggregate_id: Uuid,
        event: &E,
        at: Timestamp,
        context: &Context,
    ) -> Self {
        let mut all = HeaderMap::new();
        all.insert(event_headers::MESSAGE_ID, id.to_string());
        all.insert(event_headers::ID, id.to_string());
        all.insert(event_headers::TYPE, E::TYPE);
        all.insert(event_headers::SOURCE, E::SOURCE);
        all.insert(event_headers::SUBJECT, aggregate_id.to_string());
        all.insert(event_headers::TIME, at.to_string());
        all.insert(event_headers::SPEC_VERSION, event_headers::SPEC_VERSION_1_0);
        propagation::inject_nats(context, &mut all);
        Self {
            id,
            aggregate_id,
            subject: E::SUBJECT,
            headers: all,
            payload: event.encode_to_vec().into(),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} {})", self.subject, self.id)
    }
}

/// A row on its way to the broker.
#[derive(Clone)]
struct Outgoing {
    id: Uuid,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
    created_at: Timestamp,
    attempts: i32,
    claim_no: i32,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} {})", self.subject, self.id)
    }
}

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
    /// Reserves room for up to `events` events: fewer, or none, when the broker is away or events come in a burst.
    /// What has no room waits in the table.
    pub fn reserve(&self, events: usize) -> Room {
        let mut room = Vec::with_capacity(events);
        while room.len() < events {
            let Ok(place) = self.queue.clone().try_reserve_owned() else {
                break;
            };
            room.push(place);
        }
        Room(room)
    }

    /// Writes the events' rows in the caller's transaction. The handovers, one for each, are for after its commit;
    /// dropping one leaves its row to the cold path.
    ///
    /// The first rows get the room that there is and are born claimed, so that no other relay takes what is about to be
    /// handed over; the rest are born free.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert(
        &self,
        tx: &impl ConnectionTrait,
        now: Timestamp,
        records: Vec<Record>,
        room: Room,
    ) -> Result<Vec<Handover>, DbErr> {
        table::insert(tx, now, now + self.lease, &records, room.0.len()).await?;
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
                    created_at: now,
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
#[must_use = "without it the event waits for the relay's next look at the table"]
pub struct Handover {
    place: Option<mpsc::OwnedPermit<Outgoing>>,
    row: Outgoing,
}

impl Handover {
    /// Hands the row to the relay. To be called after the commit.
    pub fn deliver(self) {
        if let Some(place) = self.place {
            place.send(self.row);
        }
    }
}
