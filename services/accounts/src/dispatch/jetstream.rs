//! The default dispatcher: an outbox row commits with the account, and the relay publishes it to
//! JetStream. Survives any crash; whatever the relay misses in memory it finds in the table.

use async_trait::async_trait;
use kit::{
    clock::{Clock, Timestamp},
    db::Tx,
    outbox::{Outbox, Record},
    telemetry::names,
};
use opentelemetry::KeyValue;
use proto::accounts::AccountCreated;
use sea_orm::DbErr;

use super::{Created, EventDispatcher, MailOutcome, Pending, Place, creation_span};
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
    fn reserve(&self) -> Option<Place> {
        // The table takes all: what finds no room in the relay's queue is found there later.
        Some(Place { _held: None })
    }

    async fn record(&self, tx: &Tx, created: &[Created]) -> Result<Vec<Pending>, DbErr> {
        let mut records = Vec::with_capacity(created.len());
        for created in created {
            records.push(record(&self.clock, tx.now(), created));
        }
        // It never waits, so that it can be done within the transaction; and before the insert: a
        // row is born claimed only if it will be handed over.
        let room = self.outbox.reserve(records.len());
        let mut pending = Vec::with_capacity(records.len());
        for handover in self.outbox.insert(tx, records, room).await? {
            pending.push(Pending::new(async {
                handover.deliver();
                MailOutcome::OnItsWay
            }));
        }
        Ok(pending)
    }

    fn repeat(&self, _: &Created) -> Option<Pending> {
        None // its row is committed: it is published, or will be
    }
}

fn record(clock: &Clock, now: Timestamp, created: &Created) -> Record {
    let event_id = clock.uuid_v7();
    // Inside the transaction, because its context travels in the row.
    let creation = creation_span(
        created,
        [
            KeyValue::new(names::MESSAGING_SYSTEM, names::NATS),
            KeyValue::new(names::MESSAGING_MESSAGE_ID, event_id.to_string()),
        ],
    );
    let account = &created.account;
    Record::new(event_id, account.id, &encode(account), now, &creation)
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
