//! A sign-up's wait for its commit. It is ended once: by the writer, who takes it as the
//! transaction begins, or by its caller's deadline. So nobody who was told to come back, or has
//! gone, finds an account stored after all.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use tokio::time::Instant;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Writing begins so long before the deadline, or not at all.
const WRITING: Duration = Duration::from_millis(1_250);
/// And has come to its end so long before the deadline that the answer arrives.
const ANSWERING: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Wait {
    state: AtomicU8,
    deadline: Instant,
    until: Instant,
}

impl Wait {
    /// From now on, for a caller that goes away at `deadline`.
    pub(super) fn new(deadline: Instant) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        Self {
            state: AtomicU8::new(WAITING),
            deadline,
            // Halfway for a caller that gives less than twice as long: it would be late at once.
            until: deadline - WRITING.min(left / 2),
        }
    }

    /// When its caller goes away.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it is given up.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// When its transaction has to be over.
    pub(super) fn written_by(&self) -> Instant {
        self.deadline - ANSWERING
    }

    /// Takes the sign-up for writing, unless it was given up.
    pub(super) fn take(&self) -> bool {
        // The caller's own timer may be late: its time is over all the same.
        if self.until <= Instant::now() && self.give_up() {
            return false;
        }
        // Also true where it was taken before: a group that is tried one by one takes it again.
        self.end_as(TAKEN) != GIVEN_UP
    }

    /// Gives the sign-up up, unless it was taken.
    pub(super) fn give_up(&self) -> bool {
        self.end_as(GIVEN_UP) != TAKEN
    }

    /// What the wait has ended as: this, unless it was over.
    fn end_as(&self, end: u8) -> u8 {
        // One exchange decides between writer and caller: it is written or given up, never both.
        let ended = self
            .state
            .compare_exchange(WAITING, end, Ordering::SeqCst, Ordering::SeqCst);
        ended.map_or_else(|before| before, |_| end)
    }
}
