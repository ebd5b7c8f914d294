//! How the news of an account leaves the service. `commands::create_account` knows this trait only;
//! which kind serves it is configuration.

mod background;
mod inline;
mod jetstream;
mod verifier;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;
use kit::{
    db::Tx,
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue};
use proto::{accounts::AccountCreated, events::Event as _};
use sea_orm::DbErr;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

pub(crate) use self::{
    background::{Background, Retries},
    inline::Inline,
    jetstream::JetStream,
    verifier::Verifier,
};

use crate::store::Account;

/// An account that is being committed, or was before, as its caller asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) account: Account,
    /// What the event's creation is a part of.
    pub(crate) context: Context,
    /// Until when its caller waits.
    pub(crate) deadline: Instant,
    /// What was reserved for its event.
    pub(crate) place: Place,
}

/// A way to dispatch events. It takes part three times: before a group's transaction (`reserve`),
/// inside it (`record`: what must commit with the accounts) and after it (`Pending::deliver`, for
/// each account in its own caller's task: what may happen once the account is committed).
#[async_trait]
pub(crate) trait EventDispatcher: Send + Sync + fmt::Debug {
    /// Takes a place for one event; nothing when all are taken, and then its account is not to be
    /// stored either.
    fn reserve(&self) -> Option<Place>;

    /// Writes what has to commit with the accounts, and answers with one `Pending` for each, in
    /// their order. After an error the transaction is to be rolled back.
    async fn record(&self, tx: &Tx, created: &[Created]) -> Result<Vec<Pending>, DbErr>;

    /// What is left to do for an account that was committed before, is not confirmed, and whose
    /// caller asks for it again; nothing where its event cannot have been lost.
    fn repeat(&self, created: &Created) -> Option<Pending>;
}

/// A place among the events that may be on their way; given back when its last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    _held: Option<Arc<OwnedSemaphorePermit>>,
}

/// As many places as there are.
#[derive(Debug, Clone)]
struct Places(Arc<Semaphore>);

impl Places {
    fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Place {
            _held: Some(Arc::new(permit)),
        })
    }
}

/// What is left to do for one event after the commit.
#[must_use = "an event that is not delivered waits for the cold path, or is lost where there is none"]
pub(crate) struct Pending(BoxFuture<'static, MailOutcome>);

impl Pending {
    /// Work to be done in the caller's own task.
    fn new(work: impl Future<Output = MailOutcome> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }

    /// Does it, and says what is known of the mail by then. To be called after the commit; it cannot
    /// fail, because nothing that happens now may hide that the account is stored.
    pub(crate) async fn deliver(self) -> MailOutcome {
        self.0.await
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// What is known of an account's mail as its caller is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailOutcome {
    /// Nobody waited for it.
    OnItsWay,
    /// The mail server accepted it.
    Accepted,
    /// Verification has it and goes on trying.
    Pending,
    /// The mail server refused the recipient for good.
    Rejected,
    /// Whether verification has it nobody knows.
    Unknown,
}

/// The span under which the event of an account is made: its context goes with the event, so that
/// everything that follows, however late, continues the caller's trace.
fn creation_span(created: &Created, of_kind: impl IntoIterator<Item = KeyValue>) -> Context {
    let name = names::messaging_span(names::CREATE, AccountCreated::SUBJECT);
    let attributes = [
        KeyValue::new(names::MESSAGING_OPERATION_TYPE, names::CREATE),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, names::CREATE),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, AccountCreated::SUBJECT),
        KeyValue::new(names::USHER_ACCOUNT_ID, created.account.id.to_string()),
    ];
    let attributes = attributes.into_iter().chain(of_kind);
    let creation = span::producer(name, &created.context, attributes);
    span::end(&creation);
    creation
}
