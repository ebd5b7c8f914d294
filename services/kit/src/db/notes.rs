//! What the error of one statement tells of the whole database: that it is full, or that its server
//! has become read-only. `connection` notes it; `pools` and `write_check` ask.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::sqlx;
use tokio::time::Instant;

use super::error::Trouble;

/// How often, at most, the connections to a read-only server are renewed.
const RENEWED: Duration = Duration::from_secs(1);

/// Shared by all connections of a database.
#[derive(Debug, Default)]
pub(super) struct Notes {
    is_full: AtomicBool,
    /// A server said that it is read-only, and no write has been checked to succeed since.
    is_read_only: AtomicBool,
    /// Connections from before are not used any more: a server said that it is read-only.
    read_only_at: Mutex<Option<Instant>>,
}

impl Notes {
    pub(super) fn take(&self, error: &sqlx::Error) {
        match Trouble::of_error(error) {
            Trouble::Full => self.is_full.store(true, Ordering::Relaxed),
            Trouble::ReadOnly => {
                self.is_read_only.store(true, Ordering::Relaxed);
                let mut noted = self.read_only_at();
                // Not with each refusal: while the server stays read-only, connections would be
                // closed as fast as they are made.
                if noted.is_none_or(|at| at.elapsed() > RENEWED) {
                    *noted = Some(Instant::now());
                }
            }
            _ => {}
        }
    }

    /// Whether a connection of this age was made before a server said that it is read-only.
    pub(super) fn is_outdated(&self, age: Duration) -> bool {
        // After a failover the address leads to a server that takes writes; only connections from
        // before still lead to the old one, and would for as long as it answers.
        let noted = *self.read_only_at();
        noted.is_some_and(|at| at.elapsed() <= age)
    }

    /// A write that was begun then has succeeded.
    pub(super) fn takes_writes(&self, begun: Instant) {
        // Refusals are noted once in `RENEWED`: a connection that was made after the last notice
        // counts as new, and may still lead to the server as it was.
        if self.is_read_only.swap(false, Ordering::Relaxed) {
            *self.read_only_at() = Some(begun);
        }
    }

    /// Whether a write was refused for want of space, and none that needs some has succeeded since.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn has_space(&self) {
        self.is_full.store(false, Ordering::Relaxed);
    }

    fn read_only_at(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.read_only_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
