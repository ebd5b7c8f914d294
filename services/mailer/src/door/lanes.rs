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

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{domain::turn::Turn, transport::Watch};

#[derive(Debug)]
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    slow_after: Duration,
    slow_ones: SlowOnes,
    /// Somebody new is in the slow half.
    moved: Notify,
    next: AtomicU64,
}

/// Who is in the slow half: what can be seen of them, and how to drop them.
type SlowOnes = Arc<Mutex<HashMap<u64, (Watch, CancellationToken)>>>;

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    _any: OwnedSemaphorePermit,
    slow: Option<OwnedSemaphorePermit>,
    slow_ones: SlowOnes,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slow_ones.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Lanes {
    pub(super) fn new(connections: usize, slow_after: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections)),
            slow: Arc::new(Semaphore::new((connections / 2).max(1))),
            slow_after,
            slow_ones: SlowOnes::default(),
            moved: Notify::new(),
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
        Place { number, _any: any, slow, slow_ones: self.slow_ones.clone() }
    }

    /// Returns when the attempt has to give its connection up. Until then it moves the attempt into the slow half
    /// when it has been silent for too long.
    pub(super) async fn drop_if_slow(&self, place: &mut Place, watch: &Watch) {
        if place.slow.is_none() {
            self.silence(watch).await;
            let Some(slow) = self.move_over(watch).await else { return };
            place.slow = Some(slow);
        }
        let dropped = CancellationToken::new();
        let entry = (watch.clone(), dropped.clone());
        self.slow_ones.lock().unwrap_or_else(PoisonError::into_inner).insert(place.number, entry);
        self.moved.notify_waiters();
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
    /// one who asks.
    async fn move_over(&self, watch: &Watch) -> Option<OwnedSemaphorePermit> {
        loop {
            let moved = self.moved.notified();
            if let Ok(free) = self.slow.clone().try_acquire_owned() {
                return Some(free);
            }
            match self.make_room(watch) {
                Room::Made => return self.slow.clone().acquire_owned().await.ok(),
                Room::None => return None,
                Room::Promised => tokio::select! {
                    () = moved => {}
                    free = self.slow.clone().acquire_owned() => return free.ok(),
                },
            }
        }
    }

    fn make_room(&self, watch: &Watch) -> Room {
        let slow_ones = self.slow_ones.lock().unwrap_or_else(PoisonError::into_inner);
        let staying = slow_ones.values().filter(|(_, dropped)| !dropped.is_cancelled());
        let longest =
            staying.filter(|(other, _)| !other.dotted()).max_by_key(|(other, _)| other.silent_for());
        match longest {
            Some((other, dropped)) if other.silent_for() > watch.silent_for() => {
                dropped.cancel();
                Room::Made
            }
            // Whoever is being dropped makes room for somebody who will have been silent for as long as we have.
            _ if slow_ones.values().any(|(_, dropped)| dropped.is_cancelled()) => Room::Promised,
            _ => Room::None,
        }
    }
}

/// What asking for room came to.
enum Room {
    /// Somebody is being dropped for us.
    Made,
    /// Somebody is being dropped for another one, who can then be compared with.
    Promised,
    /// Nobody has been silent for longer.
    None,
}
