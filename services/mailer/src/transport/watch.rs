//! One attempt as others see it while it runs: since when the mail server has been silent, whether the final dot is
//! out, and whether it may still be sent. `lanes` drops the silent ones by it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

/// Until when the ledger lets this attempt send, by the monotonic clock; `ledger` moves it on with every renewal.
#[derive(Debug, Clone)]
pub struct Lease(Arc<Mutex<Instant>>);

impl Lease {
    /// A lease until then.
    pub fn until(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    /// Moves its end.
    pub fn renew(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Whether it has not passed.
    pub fn holds(&self) -> bool {
        Instant::now() < *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt's state. Clones share it.
#[derive(Debug, Clone)]
pub struct Watch(Arc<State>);

#[derive(Debug)]
struct State {
    lease: Lease,
    answered_at: Mutex<Instant>,
    reached: AtomicBool,
    /// `OPEN`, and then either of the others for good.
    ending: AtomicU8,
}

/// It may still be sent, and may still be stopped.
const OPEN: u8 = 0;
/// The final dot is out.
const DOTTED: u8 = 1;
/// The final dot will never be out.
const STOPPED: u8 = 2;

impl Watch {
    /// An attempt that starts now.
    pub fn start(lease: Lease) -> Self {
        let answered_at = Mutex::new(Instant::now());
        Self(Arc::new(State {
            lease,
            answered_at,
            reached: AtomicBool::new(false),
            ending: AtomicU8::new(OPEN),
        }))
    }

    /// The mail server finished an answer. A byte now and then is none: a tarpit stays silent.
    pub(super) fn answered(&self) {
        *self
            .0
            .answered_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long it has been silent.
    pub fn silent_for(&self) -> Duration {
        self.0
            .answered_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// A connection is there and the mail's first command goes out; or it turned out that there was none.
    pub(super) fn set_reached(&self, reached: bool) {
        self.0.reached.store(reached, Ordering::SeqCst);
    }

    /// Whether the mail server answered a command of this mail, or may have.
    pub fn reached(&self) -> bool {
        self.0.reached.load(Ordering::SeqCst)
    }

    /// Asks to send the final dot, just before it is sent. After a yes the outcome is the mail server's to tell.
    pub(super) fn may_dot(&self) -> bool {
        self.0.lease.holds() && self.decide(DOTTED).is_ok()
    }

    /// Stops the attempt wherever it is, in another thread too. True if that came too late: the final dot is out.
    pub fn stop(&self) -> bool {
        self.decide(STOPPED) == Err(DOTTED)
    }

    /// One of the two wins: what was declared unsent must not be sent afterwards.
    fn decide(&self, ending: u8) -> Result<u8, u8> {
        self.0
            .ending
            .compare_exchange(OPEN, ending, Ordering::SeqCst, Ordering::SeqCst)
    }

    /// Whether the final dot is out.
    pub fn dotted(&self) -> bool {
        self.0.ending.load(Ordering::SeqCst) == DOTTED
    }
}
