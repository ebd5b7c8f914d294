//! Octets at which a connection falls silent: how a test stops a conversation at a certain word.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::conditions::Conditions;

/// A direction, as whoever made the connection sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the target.
    There,
    /// From the target.
    Back,
}

/// What is waited for.
#[derive(Debug)]
pub(super) struct Trap {
    way: Way,
    octets: Vec<u8>,
}

impl Trap {
    pub(super) fn new(way: Way, octets: &[u8]) -> Self {
        let octets = octets.to_vec();
        Self { way, octets }
    }

    /// Where in the chunk its octets begin; at its start if they began in what came `before`.
    fn begins(&self, before: &[u8], chunk: &[u8]) -> Option<usize> {
        let carried = [before, chunk].concat();
        let mut windows = carried.windows(self.octets.len());
        let at = windows.position(|window| window == self.octets)?;
        Some(at.saturating_sub(before.len()))
    }
}

/// The trap of a proxy, which all of its connections watch for.
#[derive(Debug, Clone)]
pub(super) struct Traps {
    set: Arc<Mutex<Option<Trap>>>,
    conditions: watch::Sender<Conditions>,
}

impl Traps {
    pub(super) fn new(conditions: watch::Sender<Conditions>) -> Self {
        let set = Arc::default();
        Self { set, conditions }
    }

    /// In the place of the one that is set.
    pub(super) fn set(&self, trap: Trap) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        self.conditions
            .send_modify(|conditions| conditions.trapped = None);
        *set = Some(trap);
    }

    /// Where the trap's octets begin in a chunk; from then on its connection is silent, and the trap
    /// is gone. `before` keeps what the next chunk may complete.
    pub(super) fn spring(
        &self,
        connection: u64,
        way: Way,
        before: &mut Vec<u8>,
        chunk: &[u8],
    ) -> Option<usize> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let trap = set.as_ref().filter(|trap| trap.way == way)?;
        let begins = trap.begins(before, chunk);
        if begins.is_some() {
            *set = None;
            self.conditions
                .send_modify(|conditions| conditions.trapped = Some(connection));
            return begins;
        }
        before.extend_from_slice(chunk);
        let spare = before.len().saturating_sub(trap.octets.len() - 1);
        before.drain(..spare);
        None
    }
}
