//! A number of seats, and whether somebody queues for one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

#[derive(Debug)]
pub(super) struct Lane {
    seats: Arc<Semaphore>,
    queue: watch::Sender<usize>,
}

/// One who queues, until it goes on or goes away.
struct Queued<'a>(&'a watch::Sender<usize>);

impl<'a> Queued<'a> {
    fn join(queue: &'a watch::Sender<usize>) -> Self {
        queue.send_modify(|length| *length += 1);
        Self(queue)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|length| *length -= 1);
    }
}

impl Lane {
    pub(super) fn new(seats: usize) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(seats)),
            queue: watch::Sender::new(0),
        }
    }

    /// Waits for a seat, in the order of asking.
    pub(super) async fn take(&self) -> OwnedSemaphorePermit {
        if let Some(free) = self.take_free() {
            return free;
        }
        let _queued = Queued::join(&self.queue);
        let taken = self.seats.clone().acquire_owned().await;
        taken.expect("the semaphore is never closed")
    }

    /// A seat that is free and that nobody queues for.
    pub(super) fn take_free(&self) -> Option<OwnedSemaphorePermit> {
        self.seats.clone().try_acquire_owned().ok()
    }

    pub(super) fn is_wanted(&self) -> bool {
        *self.queue.borrow() > 0
    }

    /// Returns when somebody queues.
    pub(super) async fn wanted(&self) {
        let mut queue = self.queue.subscribe();
        let _ = queue.wait_for(|length| *length > 0).await; // the sender is here
    }
}
