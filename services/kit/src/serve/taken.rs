//! Who takes room at the moment, and in which order they would make it for others.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Seldom;

/// What takes room on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ends with its one answer.
    Call,
    /// Stays open.
    Stream,
}

/// A caller that says nothing, be it all or the rest of its call, is nobody's fault for so long: a
/// far network takes that time.
const PATIENCE: Duration = Duration::from_secs(1);
/// What goes on for long is told once in that time.
pub(super) const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Numbers what happens, so that what happened first is the smallest.
pub(super) type Turn = u64;
pub(super) type ConnectionId = Turn;

#[derive(Debug, Default)]
pub(super) struct Taken {
    connections: HashMap<ConnectionId, Connected>,
    /// Connections without a call, the first to go in front.
    idle: BTreeMap<Rank, ConnectionId>,
    /// Calls that wait for their callers, since when.
    waiting: BTreeMap<Turn, (ConnectionId, Instant)>,
    calls: usize,
    streams: usize,
    turn: Turn,
    told: Seldom,
}

/// Whoever has said nothing yet, then whoever has been without a call for longest.
type Rank = (HasSpoken, Turn);
type HasSpoken = bool;

#[derive(Debug)]
struct Connected {
    /// Cancelled when the connection is to go at once.
    gone: CancellationToken,
    calls: usize,
    streams: usize,
    rank: Rank,
    idle_since: Instant,
}

impl Taken {
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    pub(super) fn streams(&self) -> usize {
        self.streams
    }

    /// A connection that can go without harm to anybody.
    pub(super) fn least_used(&self) -> Option<ConnectionId> {
        let spoken = self.idle.range((true, 0)..).next();
        let silent = self.idle.first_key_value();
        let silent = silent.filter(|((has_spoken, _), _)| !has_spoken);
        let is_silent_for_long = |(_, id): &(_, &ConnectionId)| {
            let connected = self.connections.get(*id);
            connected.is_some_and(|one| one.idle_since.elapsed() >= PATIENCE)
        };
        // A newcomer that was no longer there when it began to speak would never be heard where
        // all others are idle: it is no more silent than they are.
        let leaves = silent.filter(is_silent_for_long).or_else(|| {
            let both = silent.into_iter().chain(spoken);
            both.min_by_key(|((_, turn), _)| *turn)
        });
        leaves.map(|(_, id)| *id)
    }

    /// The connection whose call has waited for its caller for longest, and for too long.
    pub(super) fn keeps_waiting(&self) -> Option<ConnectionId> {
        // Calls of connections that went are here until their tasks have noticed.
        let mut calls = self.waiting.values();
        let (id, since) = calls.find(|(id, _)| self.connections.contains_key(id))?;
        (since.elapsed() >= PATIENCE).then_some(*id)
    }

    pub(super) fn open(&mut self, gone: CancellationToken) -> ConnectionId {
        let id = self.next_turn();
        let rank = (false, id);
        self.idle.insert(rank, id);
        let open = Connected {
            gone,
            calls: 0,
            streams: 0,
            rank,
            idle_since: Instant::now(),
        };
        self.connections.insert(id, open);
        id
    }

    /// Takes a connection out with its calls: now and not when its task has noticed, so that
    /// whoever asked for the room has it.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if let Some(open) = self.connections.remove(&id) {
            open.gone.cancel();
            self.idle.remove(&open.rank);
            self.calls -= open.calls;
            self.streams -= open.streams;
        }
    }

    pub(super) fn speaks(&mut self, id: ConnectionId) {
        let turn = self.next_turn();
        if let Some(open) = self.connections.get_mut(&id) {
            self.idle.remove(&open.rank);
            open.rank = (true, turn);
            self.idle.insert(open.rank, id);
        }
    }

    pub(super) fn idle_for(&self, id: ConnectionId) -> Option<Duration> {
        let open = self.connections.get(&id)?;
        (open.calls + open.streams == 0).then(|| open.idle_since.elapsed())
    }

    pub(super) fn begin(&mut self, id: ConnectionId, kind: Kind) -> Option<()> {
        let open = self.connections.get_mut(&id)?;
        self.idle.remove(&open.rank);
        match kind {
            Kind::Call => (self.calls, open.calls) = (self.calls + 1, open.calls + 1),
            Kind::Stream => (self.streams, open.streams) = (self.streams + 1, open.streams + 1),
        }
        Some(())
    }

    pub(super) fn end(&mut self, id: ConnectionId, kind: Kind) {
        let turn = self.next_turn();
        // A connection that went took its calls along.
        let Some(open) = self.connections.get_mut(&id) else {
            return;
        };
        match kind {
            Kind::Call => (self.calls, open.calls) = (self.calls - 1, open.calls - 1),
            Kind::Stream => (self.streams, open.streams) = (self.streams - 1, open.streams - 1),
        }
        if open.calls + open.streams == 0 {
            open.rank = (true, turn);
            open.idle_since = Instant::now();
            self.idle.insert(open.rank, id);
        }
    }

    pub(super) fn wait(&mut self, id: ConnectionId) -> Turn {
        let turn = self.next_turn();
        self.waiting.insert(turn, (id, Instant::now()));
        turn
    }

    pub(super) fn no_longer_waits(&mut self, turn: Turn) {
        self.waiting.remove(&turn);
    }

    /// Whether somebody is to be told that the room is full; then it counts as told.
    pub(super) fn is_to_tell(&mut self) -> bool {
        self.told.is_due(&(), TOLD_AGAIN)
    }

    fn next_turn(&mut self) -> Turn {
        self.turn += 1;
        self.turn
    }
}
