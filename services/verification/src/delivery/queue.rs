//! The hot path from a commit to the loop: mails in memory, and the room for them. Room is reserved
//! before the insert, so that a row is born claimed only if its mail will be handed over; a mail
//! gives its place back when it is forgotten, that is when its outcome is recorded or it is let go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{commands::ClaimedMail, domain::Turn};

/// Where mails are handed over. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// Bounded by the places, which are counted over a mail's whole way.
    mails: mpsc::UnboundedSender<Vec<PlacedMail>>,
    first_places: Arc<Semaphore>,
    /// Of their own, for mails that were tried before: first ones may come faster than they leave.
    later_places: Arc<Semaphore>,
    is_sending: Arc<AtomicBool>,
}

/// The loop's end of it.
pub(crate) type Incoming = mpsc::UnboundedReceiver<Vec<PlacedMail>>;

/// Room for mails of one turn; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

/// A claimed mail in its place in memory.
#[derive(Debug)]
pub(crate) struct PlacedMail {
    pub(super) mail: ClaimedMail,
    _place: Room,
}

impl Queue {
    /// A queue for at most `places` mails and a quarter as many that were tried before, and the end
    /// that the loop reads.
    pub(crate) fn new(places: usize) -> (Self, Incoming) {
        let (mails, incoming) = mpsc::unbounded_channel();
        let queue = Self {
            mails,
            first_places: Arc::new(Semaphore::new(places)),
            later_places: Arc::new(Semaphore::new(places.div_ceil(4))),
            // No room at first: while no mailer takes mails, rows are born unclaimed and wait in
            // the table, where any replica may claim them.
            is_sending: Arc::default(),
        };
        (queue, incoming)
    }

    /// Reserves room for up to `mails`: fewer, or none, when the mailer is away or mails come in a
    /// burst.
    pub(crate) fn reserve(&self, turn: Turn, mails: usize) -> Room {
        if !self.is_sending() {
            return Room(None);
        }
        // Another one may take the last places in between: then there is no room, and the table has
        // the mails.
        let places = self.places(turn);
        let free = mails.min(places.available_permits());
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        let reserved = Arc::clone(places).try_acquire_many_owned(free);
        Room(reserved.ok().filter(|_| free > 0))
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self, turn: Turn) -> bool {
        self.is_sending() && self.places(turn).available_permits() > 0
    }

    /// Hands mails over, at most as many as there is room. To be called after the commit that
    /// claimed them.
    pub(crate) fn hand_over(&self, mails: Vec<ClaimedMail>, room: Room) {
        if !mails.is_empty() {
            // Without a loop, at a stop, they are dropped and their claims run out.
            let _ = self.mails.send(room.place(mails));
        }
    }

    fn places(&self, turn: Turn) -> &Arc<Semaphore> {
        match turn {
            Turn::First => &self.first_places,
            Turn::Later => &self.later_places,
        }
    }

    /// Whether a mailer takes mails just now.
    pub(super) fn set_sending(&self, is_sending: bool) {
        // Relaxed: whoever sees it late puts a mail into memory that is let go, or into the table
        // that is polled.
        self.is_sending.store(is_sending, Ordering::Relaxed);
    }

    /// Whether a mailer takes mails just now.
    pub(crate) fn is_sending(&self) -> bool {
        self.is_sending.load(Ordering::Relaxed)
    }
}

impl Room {
    /// How many mails have room.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives each of these mails its place. What has none is dropped, and its claim runs out.
    pub(super) fn place(mut self, mails: Vec<ClaimedMail>) -> Vec<PlacedMail> {
        let mut placed = Vec::with_capacity(mails.len());
        for mail in mails {
            let place = self.0.as_mut().and_then(|places| places.split(1));
            placed.extend(place.map(|place| PlacedMail {
                mail,
                _place: Room(Some(place)),
            }));
        }
        placed
    }
}
