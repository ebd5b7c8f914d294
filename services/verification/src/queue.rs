//! The hot path from a commit to the delivery: mails in memory, and the room for them. Room is
//! reserved before the insert, so that a row is born claimed only if its mail will be handed over;
//! a mail gives its room back when it is dropped, that is when its outcome is recorded or it is let
//! go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use kit::{Private, clock::Timestamp, db::Tx, propagation};
use opentelemetry::Context;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    domain::{Digits, Turn},
    store::{Claim, Code, Verification},
};

/// A claimed mail on its way to the mailer.
#[derive(Debug)]
pub(crate) struct ClaimedMail {
    /// The code, and the claim under which the mail is held.
    pub(crate) claim: Claim,
    pub(crate) account_id: Uuid,
    /// How often the mailer has tried it.
    pub(crate) attempts: u32,
    pub(crate) email: Private<String>,
    pub(crate) display_name: Private<String>,
    pub(crate) locale: String,
    pub(crate) digits: Digits,
    pub(crate) expires_at: Timestamp,
    /// The same by this process's monotonic clock, as far from the claim as it was by the
    /// database's.
    pub(crate) expires: Instant,
    /// When its claim ends by this process's clock, unless it is renewed.
    pub(crate) held_until: Instant,
    /// With an account's first code: when the account was committed.
    pub(crate) account_created_at: Option<Timestamp>,
    /// Trace context of what caused the code.
    pub(crate) context: Context,
    /// Its place in memory.
    _room: Room,
}

impl ClaimedMail {
    /// The mail of a code that `tx` claimed, in a place of its own.
    pub(crate) fn new(
        tx: &Tx,
        code: &Code,
        verification: &Verification,
        digits: Digits,
        room: Room,
    ) -> Self {
        let is_first_code = code.number == 1;
        Self {
            claim: Claim {
                code_id: code.id,
                claim_no: code.claim_no,
            },
            account_id: code.account_id,
            attempts: u32::try_from(code.mail_attempts).unwrap_or(0),
            email: verification.email.clone().into(),
            display_name: verification.display_name.clone().into(),
            locale: verification.locale.clone(),
            digits,
            expires_at: code.expires_at,
            expires: tx.begun() + code.expires_at.since(tx.now()),
            held_until: tx.begun() + code.claimed_until.since(tx.now()),
            account_created_at: is_first_code.then_some(verification.account_created_at),
            context: propagation::from_traceparent(&code.traceparent, &code.tracestate),
            _room: room,
        }
    }

    /// Whose turn it waits for.
    pub(crate) fn turn(&self) -> Turn {
        match self.attempts {
            0 => Turn::First,
            _ => Turn::Later,
        }
    }
}

/// Where commands hand mails over. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    mails: mpsc::UnboundedSender<Vec<ClaimedMail>>, // bounded by the places, which are counted over its whole way
    places: Arc<Semaphore>,
    /// Of their own, for mails that were tried before: first ones may come faster than they leave.
    later_places: Arc<Semaphore>,
    open: Arc<AtomicBool>,
    poll_soon: Arc<Notify>,
}

/// The delivery's end of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    mails: mpsc::UnboundedReceiver<Vec<ClaimedMail>>,
    poll_soon: Arc<Notify>,
}

/// Room for mails; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Queue {
    /// A queue for at most `places` mails and a quarter as many that were tried before, and the end
    /// that the delivery reads. It is closed at first: while no mailer takes mails, rows are born
    /// unclaimed and wait in the table.
    pub(crate) fn new(places: usize) -> (Self, Incoming) {
        let (sender, mails) = mpsc::unbounded_channel();
        let poll_soon = Arc::new(Notify::new());
        let queue = Self {
            mails: sender,
            places: Arc::new(Semaphore::new(places)),
            later_places: Arc::new(Semaphore::new(places.div_ceil(4))),
            open: Arc::default(),
            poll_soon: Arc::clone(&poll_soon),
        };
        (queue, Incoming { mails, poll_soon })
    }

    /// Reserves room for up to `mails`: fewer, or none, when the mailer is away or mails come in a
    /// burst.
    pub(crate) fn reserve(&self, turn: Turn, mails: usize) -> Room {
        if !self.open.load(Ordering::Relaxed) {
            return Room(None);
        }
        // Another one may take the last places in between: then there is no room, and the table has
        // the mails.
        let places = match turn {
            Turn::First => &self.places,
            Turn::Later => &self.later_places,
        };
        let free = mails.min(places.available_permits());
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        let reserved = Arc::clone(places).try_acquire_many_owned(free);
        Room(reserved.ok().filter(|_| free > 0))
    }

    /// Hands mails over. To be called after the commit that claimed them.
    pub(crate) fn hand_over(&self, mails: Vec<ClaimedMail>) {
        if !mails.is_empty() {
            let _ = self.mails.send(mails); // without a delivery their leases run out
        }
    }

    /// Tells the delivery that there may be something due in the table.
    pub(crate) fn poll_soon(&self) {
        self.poll_soon.notify_one();
    }

    /// Whether a mailer takes mails just now.
    pub(crate) fn set_open(&self, open: bool) {
        // Relaxed: whoever sees it late puts a mail into memory that is let go, or into the table
        // that is polled.
        self.open.store(open, Ordering::Relaxed);
    }

    /// Whether a mailer takes mails just now.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

impl Incoming {
    pub(crate) async fn mails(&mut self) -> Option<Vec<ClaimedMail>> {
        self.mails.recv().await
    }

    pub(crate) fn ready(&mut self) -> Option<Vec<ClaimedMail>> {
        self.mails.try_recv().ok()
    }

    /// What `Queue::poll_soon` notifies.
    pub(crate) fn wishes(&self) -> Arc<Notify> {
        Arc::clone(&self.poll_soon)
    }
}

impl Room {
    /// How many mails have room.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// The place of one mail.
    pub(crate) fn take_one(&mut self) -> Option<Self> {
        let one = self.0.as_mut()?.split(1)?;
        Some(Self(Some(one)))
    }
}
