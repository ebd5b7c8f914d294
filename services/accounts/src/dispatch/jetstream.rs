//! The default dispatcher: an outbox row commits with the account, and the relay publishes it to
//! JetStream. Survives any crash; whatever the relay misses in memory it finds in the table.

use async_trait::async_trait;
use kit::{
    clock::{Clock, Timestamp},
    db::Tx,
    outbox::{Outbox, Record},
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue};
use proto::{accounts::AccountCreated, events::Event as _};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Created, EventDispatcher, Pending, Room};
use crate::store::Account;

/// Events by way of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct JetStream {
    outbox: Outbox,
    clock: Clock,
}

impl JetStream {
    /// Events go to `outbox`; their ids come from `clock`.
    pub(crate) fn new(outbox: Outbox, clock: Clock) -> Self {
        Self { outbox, clock }
    }
}

#[async_trait]
impl EventDispatcher for JetStream {
    async fn reserve(&self, events: usize) -> Room {
        // Never waits: what finds no room in the relay's queue is found in the table later.
        Room::Relay(self.outbox.reserve(events))
    }

    async fn record(
        &self,
        tx: &Tx,
        created: &[Created],
        Room::Relay(room): Room,
    ) -> Result<Vec<Pending>, DbErr> {
        let mut records = Vec::with_capacity(created.len());
        for created in created {
            records.push(record(&self.clock, tx.now(), created));
        }
        let mut pending = Vec::with_capacity(records.len());
        for handover in self.outbox.insert(tx, records, room).await? {
            pending.push(Pending::new(async {
                handover.deliver();
                Ok(())
            }));
        }
        Ok(pending)
    }
}

fn record(clock: &Clock, now: Timestamp, created: &Created) -> Record {
    let Created { account, context } = created;
    let event_id = clock.uuid_v7();
    // Inside the transaction, because its context travels in the row: everything that follows,
    // however late, continues the caller's trace.
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
