//! Who may use how many connections. Later attempts and first ones that turned out slow share one
//! half: dead and hanging mailboxes crowd each other out there, and the other half stays free for
//! mails that go through.
//!
//! ```text
//! first attempt ────────────────────────────► one of `all` ──► its conversation
//! later attempt ──► a share of `slow` (half) ► one of `all` ──► its conversation, listed in `slow_ones` at once
//!
//! A first attempt (12) falls silent, and wants a share of `slow` to go on:
//!   one is free ──► 12 takes it, and is listed.
//!   none is     ──► `domain::who_yields`:
//!                     12 itself ──► gives its connection up
//!                     or 7:
//!       slow_ones { 7: (share, dropped), 9: (share, dropped) }
//!                        │      └── cancelled: the task of 7 gives its connection up
//!                        └── goes over to 12 ──► slow_ones { 9: …, 12: (share, dropped) }
//! ```
//!
//! So each share lies in the list, beside the way to cancel its owner, and not with the owner:
//! whoever drops the owner takes its share over. Were the share given back to the semaphore
//! instead, later attempts that queue there would get it, and who asks would wait behind them with
//! a connection in its hands.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{SlowAttempt, Turn, who_yields},
    transport::Attempt,
};

#[derive(Debug)]
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    pub(super) slow_after: Duration,
    slow_ones: SlowOnes,
    next: AtomicU64,
}

/// Who is in the slow half, by the seat's number.
#[derive(Debug, Clone, Default)]
struct SlowOnes(Arc<Mutex<HashMap<u64, SlowOne>>>);

/// One of them: what can be seen of it, how to drop it, and the share that whoever drops it takes
/// over.
#[derive(Debug)]
struct SlowOne {
    attempt: Attempt,
    dropped: CancellationToken,
    share: OwnedSemaphorePermit,
}

impl SlowOnes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, SlowOne>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    _any: OwnedSemaphorePermit,
    /// A later attempt's share of the slow half, until it is listed.
    share: Option<OwnedSemaphorePermit>,
    slow_ones: SlowOnes,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.slow_ones.lock().remove(&self.number);
    }
}

impl Lanes {
    pub(super) fn new(connections: usize, slow_after: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections)),
            slow: Arc::new(Semaphore::new((connections / 2).max(1))),
            slow_after,
            slow_ones: SlowOnes::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Waits for a seat. A later attempt takes its share of the slow half first: had it the
    /// connection first, it would hold it idle while it waits for the share.
    pub(super) async fn enter(&self, turn: Turn) -> Seat {
        const OPEN: &str = "the semaphores are never closed";
        let share = match turn {
            Turn::First => None,
            Turn::Later => Some(self.slow.clone().acquire_owned().await.expect(OPEN)),
        };
        let any = self.all.clone().acquire_owned().await.expect(OPEN);
        Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            _any: any,
            share,
            slow_ones: self.slow_ones.clone(),
        }
    }

    /// Returns when the attempt has to give its connection up. Until then it moves the attempt into
    /// the slow half when it has been silent for too long.
    pub(super) async fn drop_if_slow(&self, seat: &mut Seat, attempt: &Attempt) {
        let share = match seat.share.take() {
            Some(share) => share, // a later attempt is listed from the start
            None => {
                self.silence(attempt).await;
                let Some(share) = self.take_share(attempt) else {
                    return;
                };
                share
            }
        };
        // From here on the share is the list's. It goes with the seat, or to whoever drops this
        // attempt.
        let dropped = CancellationToken::new();
        let slow_one = SlowOne {
            attempt: attempt.clone(),
            dropped: dropped.clone(),
            share,
        };
        self.slow_ones.lock().insert(seat.number, slow_one);
        dropped.cancelled().await;
    }

    /// Returns when the attempt has been silent for too long; never once its final dot is out.
    async fn silence(&self, attempt: &Attempt) {
        loop {
            let silent = attempt.silent_for();
            match self.slow_after.checked_sub(silent) {
                // Asked again after that: an answer in between starts the silence anew.
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                // It keeps its connection: nobody may drop it, so it would only fill the slow half.
                _ if attempt.is_past_return() => std::future::pending().await,
                _ => return,
            }
        }
    }

    /// A share of the slow half: a free one, or that of whoever yields. `None` if that is who asks.
    fn take_share(&self, attempt: &Attempt) -> Option<OwnedSemaphorePermit> {
        if let Ok(free) = self.slow.clone().try_acquire_owned() {
            return Some(free);
        }
        // Judged, cancelled and inherited under one lock: two who ask at once cannot drop the same
        // one.
        let mut slow_ones = self.slow_ones.lock();
        let mut seen = Vec::with_capacity(slow_ones.len());
        for (number, slow_one) in slow_ones.iter() {
            seen.push(SlowAttempt {
                number: *number,
                silent_for: slow_one.attempt.silent_for(),
                is_past_return: slow_one.attempt.is_past_return(),
            });
        }
        let yields = who_yields(attempt.silent_for(), &seen)?;
        let SlowOne { dropped, share, .. } = slow_ones.remove(&yields)?;
        dropped.cancel();
        Some(share)
    }
}
