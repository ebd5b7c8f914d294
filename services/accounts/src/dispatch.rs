//! How the news of a committed account leaves the service. `commands::create_account` knows this
//! trait only; which kind serves it is configuration.

mod jetstream;

use std::fmt;

use async_trait::async_trait;
use futures::future::BoxFuture;
use kit::{db::Tx, outbox};
use opentelemetry::Context;
use sea_orm::DbErr;

pub(crate) use jetstream::JetStream;

use crate::store::Account;

/// An account that is being committed, under its caller's trace context.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) account: Account,
    /// What the event's creation is a part of.
    pub(crate) context: Context,
}

/// A way to dispatch events. It takes part three times: before a group's transaction (room), inside
/// it (what must commit with the accounts) and after it, for each account in its own caller's task
/// (what may happen once the account is committed).
#[async_trait]
pub(crate) trait EventDispatcher: Send + Sync + fmt::Debug {
    /// Makes room for up to `events` events. A kind whose room is bounded waits here, so that its
    /// callers queue up in front of the group and are turned away when that queue is full.
    async fn reserve(&self, events: usize) -> Room;

    /// Writes what has to commit with the accounts, and answers with one `Pending` for each, in
    /// their order. After an error the transaction is to be rolled back.
    async fn record(&self, tx: &Tx, created: &[Created], room: Room)
    -> Result<Vec<Pending>, DbErr>;
}

/// Room that was made; given back when it is dropped or not all of it is used.
#[derive(Debug)]
pub(crate) enum Room {
    /// In the relay's queue.
    Relay(outbox::Room),
}

/// What is left to do for one event after the commit.
#[must_use = "an event that is not delivered waits for the cold path, or is lost where there is none"]
pub(crate) struct Pending(BoxFuture<'static, Result<(), Undelivered>>);

/// The account is committed, but its event could not be delivered as this kind promises.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the account is stored, but its mail could not be sent on: {0}")]
pub(crate) struct Undelivered(pub(crate) String);

impl Pending {
    /// Work to be done in the caller's own task.
    pub(crate) fn new(
        work: impl Future<Output = Result<(), Undelivered>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(work))
    }

    /// Does it. To be called after the commit. Fails when the kind promises delivery before the
    /// reply and could not keep it.
    pub(crate) async fn deliver(self) -> Result<(), Undelivered> {
        self.0.await
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
