//! The addresses behind a name, and which of them take calls.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{dial::Dialled, resolver::Resolved};

/// Those that a name leads to, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: Vec<Member>,
    /// Why nothing is known of the name.
    unknown: Option<String>,
}

#[derive(Debug)]
struct Member {
    addr: SocketAddr,
    state: Reached,
    under_way: Arc<UnderWay>,
}

#[derive(Debug)]
pub(super) enum Reached {
    /// Nobody has heard yet whether a connection can be had; soon it will be known.
    Connecting,
    /// Takes calls.
    Live(Dialled),
    /// No connection could be made; it is tried again and again.
    Away,
}

/// Calls that are under way: such as end with an answer, and such as stay open for hours. Each kind
/// is spread by itself, or an endpoint with few streams would get all calls.
#[derive(Debug, Default)]
struct UnderWay {
    short: AtomicUsize,
    long: AtomicUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Short,
    Long,
}

/// Who gets a call.
#[derive(Debug)]
pub(super) enum Choice {
    Member(Chosen),
    /// Nobody yet; the next change may bring somebody.
    Wait,
    /// The name leads nowhere, and why.
    Unknown(String),
    /// None of so many takes a connection.
    Away(usize),
}

#[derive(Debug)]
pub(super) struct Chosen {
    /// Of so many.
    pub(super) members: usize,
    pub(super) connection: Dialled,
    pub(super) counted: Counted,
}

/// A call that counts as under way until this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<UnderWay>, CallKind);

impl Members {
    /// Lets go of who left and takes in who came. What is under way at those that left comes to its
    /// end.
    pub(super) fn take_in(&mut self, known: &Resolved) {
        let addresses = &known.addresses;
        self.members.retain(|one| addresses.contains(&one.addr));
        for addr in addresses {
            if self.members.iter().all(|one| one.addr != *addr) {
                self.members.push(Member {
                    addr: *addr,
                    state: Reached::Connecting,
                    under_way: Arc::default(),
                });
            }
        }
        self.unknown = known.trouble.clone().filter(|_| addresses.is_empty());
    }

    /// Notes how an address is.
    pub(super) fn enter(&mut self, addr: SocketAddr, state: Reached) {
        if let Some(member) = self.members.iter_mut().find(|one| one.addr == addr) {
            member.state = state;
        }
    }

    /// The endpoint with the fewest calls of this kind; of several the next one behind `turn`, so
    /// that calls go round when each is answered before the next is made.
    pub(super) fn choose(&self, kind: CallKind, turn: usize) -> Choice {
        let (before, behind) = self.members.split_at(turn % self.members.len().max(1));
        let in_turn = behind.iter().chain(before);
        let live = in_turn.filter_map(|member| match &member.state {
            // One that is over is not for long among them.
            Reached::Live(connection) if !connection.over.is_cancelled() => {
                Some((member, connection))
            }
            _ => None,
        });
        if let Some((member, connection)) = live.min_by_key(|(one, _)| one.under_way.of(kind)) {
            return Choice::Member(Chosen {
                members: self.members.len(),
                connection: connection.clone(),
                counted: Counted::new(&member.under_way, kind),
            });
        }
        match &self.unknown {
            Some(why) => Choice::Unknown(why.clone()),
            None if self.are_all_away() => Choice::Away(self.members.len()),
            None => Choice::Wait,
        }
    }

    fn are_all_away(&self) -> bool {
        let is_away = |one: &Member| matches!(one.state, Reached::Away);
        !self.members.is_empty() && self.members.iter().all(is_away)
    }
}

impl UnderWay {
    fn counter(&self, kind: CallKind) -> &AtomicUsize {
        match kind {
            CallKind::Short => &self.short,
            CallKind::Long => &self.long,
        }
    }

    // Relaxed: who reads an older number chooses a little worse.
    fn of(&self, kind: CallKind) -> usize {
        self.counter(kind).load(Ordering::Relaxed)
    }
}

impl Counted {
    fn new(under_way: &Arc<UnderWay>, kind: CallKind) -> Self {
        under_way.counter(kind).fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(under_way), kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counter(self.1).fetch_sub(1, Ordering::Relaxed);
    }
}
