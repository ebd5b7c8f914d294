//! Who may use how many connections. Later attempts and first ones that turned out slow share one half: dead and
//! hanging mailboxes crowd each other out there, and the other half stays free for mails that go through.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{domain::turn::Turn, transport::Watch};

#[derive(Debug)]
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    pub(super) slow_after: Duration,
    slow_ones: SlowOnes,
    next: AtomicU64,
}

/// Who is in the slow half, by the place's number.
type SlowOnes = Arc<Mutex<HashMap<u64, SlowOne>>>;

/// One of them: what can be seen of it, how to drop it, and the share that whoever drops it takes over.
#[derive(Debug)]
struct SlowOne {
    watch: Watch,
    dropped: CancellationToken,
    share: OwnedSemaphorePermit,
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    _any: OwnedSemaphorePermit,
    /// A later attempt's share of the slow half, until it is one of the slow ones.
    slow: Option<OwnedSemaphorePermit>,
    slow_ones: SlowOnes,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slow_ones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
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

    /// Waits for a place. A later attempt takes its share of the slow half first, so that none of them waits in front
    /// of a first one for more than that.
    pub(super) async fn enter(&self, turn: Turn) -> Place {
        const OPEN: &str = "the semaphores are never closed";
        let slow = match turn {
            Turn::First => None,
            Turn::Later => Some(self.slow.clone().acquire_owned().await.expect(OPEN)),
        };
        let any = self.all.clone().acquire_owned().await.expect(OPEN);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Place {
            number,
            _any: any,
            slow,
            slow_ones: self.slow_ones.clone(),
        }
    }

    /// Returns when the attempt has to give its connection up. Until then it moves the attempt into the slow half
    /// when it has been silent for too long.
    pub(super) async fn drop_if_slow(&self, place: &mut Place, watch: &Watch) {
        let share = match place.slow.take() {
            Some(share) => share,
            None => {
                self.silence(watch).await;
                let Some(share) = self.move_over(watch) else {
                    return;
                };
                share
            }
        };
        let dropped = CancellationToken::new();
        let one = SlowOne {
            watch: watch.clone(),
            dropped: dropped.clone(),
            share,
        };
        self.slow_ones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place.number, one);
        dropped.cancelled().await;
    }

    /// Returns when the attempt has been silent for too long; never once its final dot is out.
    async fn silence(&self, watch: &Watch) {
        loop {
            let silent = watch.silent_for();
            match self.slow_after.checked_sub(silent) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ if watch.dotted() => std::future::pending().await,
                _ => return,
            }
        }
    }

    /// A share of the slow half. When it is full, whoever has been silent longest is dropped; `None` if that is the
    /// one who asks. The dropped one's share goes over directly: were it given back, later attempts that queue for
    /// one would get it, and who asks would wait behind them with a connection in its hands.
    fn move_over(&self, watch: &Watch) -> Option<OwnedSemaphorePermit> {
        if let Ok(free) = self.slow.clone().try_acquire_owned() {
            return Some(free);
        }
        let mut slow_ones = self
            .slow_ones
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let droppable = slow_ones.iter().filter(|(_, one)| !one.watch.dotted());
        let (number, silent) = droppable
            .map(|(number, one)| (*number, one.watch.silent_for()))
            .max_by_key(|(_, silent)| *silent)?;
        if silent <= watch.silent_for() {
            return None;
        }
        let SlowOne { dropped, share, .. } = slow_ones.remove(&number)?;
        dropped.cancel();
        Some(share)
    }
}
