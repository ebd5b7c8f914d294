//! The default dispatcher: an outbox row commits with the account, and the relay publishes it to JetStream.
//! Survives any crash; whatever the relay misses in memory it finds in the table.

use async_trait::async_trait;
use kit::{
    clock::{Clock, Timestamp},
    outbox::{Outbox, Record, Room as Places},
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue};
use proto::{accounts::AccountCreated, events::Event as _};
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Created, EventDispatcher, Pending, Reserved};
use crate::store::Account;

/// Events by way of the outbox.
#[derive(Debug, Clone)]
pub struct JetStream {
    outbox: Outbox,
    clock: Clock,
}

impl JetStream {
    /// Events go to `outbox`; their ids come from `clock`.
    #[must_use]
    pub fn new(outbox: Outbox, clock: Clock) -> Self {
        Self { outbox, clock }
    }
}

#[async_trait]
impl EventDispatcher for JetStream {
    /// Never waits: what finds no room in the relay's queue is found in the table later.
    async fn reserve(&self, events: usize) -> Box<dyn Reserved> {
        Box::new(Room {
            permits: self.outbox.reserve(events),
            dispatcher: self.clone(),
        })
    }
}

struct Room {
    permits: Places,
    dispatcher: JetStream,
}

#[async_trait]
impl Reserved for Room {
    async fn record(
        self: Box<Self>,
        tx: &DatabaseTransaction,
        now: Timestamp,
        created: &[Created],
    ) -> Result<Vec<Pending>, DbErr> {
        let Self {
            permits,
            dispatcher: JetStream { outbox, clock },
        } = *self;
        let records = created
            .iter()
            .map(|created| record(&clock, now, created))
            .collect();
        let handovers = outbox.insert(tx, now, records, permits).await?;
        let pending = handovers.into_iter().map(|handover| {
            Pending::new(async {
                handover.deliver();
                Ok(())
            })
        });
        Ok(pending.collect())
    }
}

/// The creation span lives inside the business transaction; its context travels in the row, so that everything
/// that follows, however late, continues the caller's trace.
fn record(clock: &Clock, now: Timestamp, created: &Created) -> Record {
    let Created { account, context } = created;
    let event_id = clock.uuid_v7();
    let creation = creation_span(event_id, account.id, context);
    let record = Record::new(event_id, account.id, &encode(account), now, &creation);
    span::end(&creation);
    record
}

fn creation_span(event_id: Uuid, account_id: Uuid, caller: &Context) -> Context {
    let name = names::messaging_span(names::CREATE, AccountCreated::SUBJECT);
    let attributes = [
        KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::CREATE),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::CREATE),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, AccountCreated::SUBJECT),
        KeyValue::new(names::MESSAGING_MESSAGE_ID, event_id.to_string()),
        KeyValue::new(names::USHER_ACCOUNT_ID, account_id.to_string()),
    ];
    span::producer(name, caller, attributes)
}

fn encode(account: &Account) -> AccountCreated {
    AccountCreated {
        account_id: account.id.to_string(),
        email: account.email.clone(),
        display_name: account.display_name.clone(),
        locale: account.locale.clone(),
        created_at: Some(account.created_at.into()),
    }
}
