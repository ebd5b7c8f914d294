//! The hot path from a commit to the delivery: mails in memory, and the room for them. Room is reserved before the
//! insert, so that a row is born claimed only if its mail will be handed over; a mail gives its room back when it is
//! dropped, that is when it is settled or let go.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kit::clock::Timestamp;
use opentelemetry::Context;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use crate::{domain::digits::Digits, store::mails::Claim};

/// A claimed mail on its way to the mailer. Never printed: it holds the address and the digits.
pub(crate) struct Mail {
    /// The code, and the claim under which the mail is held.
    pub(crate) claim: Claim,
    pub(crate) account_id: Uuid,
    /// How often the mailer has tried it.
    pub(crate) attempts: u32,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) locale: String,
    pub(crate) digits: Digits,
    pub(crate) expires_at: Timestamp,
    /// With an account's first code: when the account was committed.
    pub(crate) account_created_at: Option<Timestamp>,
    /// Trace context of what caused the code.
    pub(crate) context: Context,
    /// Its place in memory.
    pub(crate) _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({})", self.claim.code_id)
    }
}

/// Where commands hand mails over. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    mails: mpsc::UnboundedSender<Vec<Mail>>, // bounded by the places, which are counted over its whole way
    places: Arc<Semaphore>,
    open: Arc<AtomicBool>,
    look: Arc<Notify>,
}

/// The delivery's end of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    mails: mpsc::UnboundedReceiver<Vec<Mail>>,
    look: Arc<Notify>,
}

/// Room for mails; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Queue {
    /// A queue for at most `places` mails, and the end that the delivery reads. It is closed at first: while no
    /// mailer takes mails, rows are born unclaimed and wait in the table.
    pub(crate) fn new(places: usize) -> (Self, Incoming) {
        let (sender, mails) = mpsc::unbounded_channel();
        let look = Arc::new(Notify::new());
        let places = Arc::new(Semaphore::new(places));
        let queue = Self {
            mails: sender,
            places,
            open: Arc::default(),
            look: Arc::clone(&look),
        };
        (queue, Incoming { mails, look })
    }

    /// Reserves room for up to `mails`: fewer, or none, when the mailer is away or mails come in a burst.
    pub(crate) fn reserve(&self, mails: usize) -> Room {
        if !self.open.load(Ordering::Relaxed) {
            return Room(None);
        }
        let free = u32::try_from(mails.min(self.places.available_permits())).unwrap_or(u32::MAX);
        Room(
            Arc::clone(&self.places)
                .try_acquire_many_owned(free)
                .ok()
                .filter(|_| free > 0),
        )
    }

    /// Hands mails over. To be called after the commit that claimed them.
    pub(crate) fn hand_over(&self, mails: Vec<Mail>) {
        if !mails.is_empty() {
            let _ = self.mails.send(mails); // without a delivery their leases run out
        }
    }

    /// Tells the delivery that there may be something due in the table.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Whether a mailer takes mails just now.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// Whether a mailer takes mails just now.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

impl Incoming {
    /// The next mails.
    pub(crate) async fn mails(&mut self) -> Option<Vec<Mail>> {
        self.mails.recv().await
    }

    /// Mails that are there already.
    pub(crate) fn ready(&mut self) -> Option<Vec<Mail>> {
        self.mails.try_recv().ok()
    }

    /// Returns when somebody said that there may be something due in the table.
    pub(crate) fn looks(&self) -> Arc<Notify> {
        Arc::clone(&self.look)
    }
}

impl Room {
    /// How many mails have room.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// One mail's place.
    pub(crate) fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        self.0.as_mut().and_then(|room| room.split(1))
    }
}
