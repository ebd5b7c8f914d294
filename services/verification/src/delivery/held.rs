//! The mails that this process holds: waiting for a stream, sent, or answered and not yet recorded.
//! All of them are claimed, and their claims renewed, until they are forgotten here.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use opentelemetry::Context;
use tokio::time::Instant;
use uuid::Uuid;

use super::{queue::PlacedMail, streams::StreamId};
use crate::{
    commands::{Claim, ClaimedMail},
    domain::Turn,
};

/// So many streams may break over one mail before it waits as after a failure.
const MOST_BREAKS: u8 = 3;

#[derive(Debug)]
struct HeldMail {
    placed: PlacedMail,
    whereabouts: Whereabouts,
    breaks: u8,
}

#[derive(Debug)]
enum Whereabouts {
    Waiting,
    Sent { stream: StreamId, span: Context },
    Answered,
}

/// Mails by their code's id, and the order in which they wait, those that were tried before in a
/// line of their own.
#[derive(Debug)]
pub(super) struct HeldMails {
    held: HashMap<Uuid, HeldMail>,
    first: VecDeque<Uuid>,
    later: VecDeque<Uuid>,
    lease: Duration,
}

impl HeldMails {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            held: HashMap::new(),
            first: VecDeque::new(),
            later: VecDeque::new(),
            lease,
        }
    }

    /// Takes claimed mails in.
    pub(super) fn add(&mut self, mails: Vec<PlacedMail>) {
        for placed in mails {
            let mail = &placed.mail;
            let id = mail.claim.code_id;
            if let Some(known) = self.held.get_mut(&id) {
                // Its claim has run out and a poll has claimed it again: the new claim is adopted.
                // Where it stands does not change: if it was sent, the answer counts under the new.
                known.placed.mail.claim = mail.claim;
                known.placed.mail.held_until = mail.held_until;
                continue;
            }
            self.line(mail.turn()).push_back(id);
            let held = HeldMail {
                placed,
                whereabouts: Whereabouts::Waiting,
                breaks: 0,
            };
            self.held.insert(id, held);
        }
    }

    /// The next mail to send.
    pub(super) fn next(&mut self, turn: Turn) -> Option<&ClaimedMail> {
        while let Some(id) = self.line(turn).pop_front() {
            // By this process's own clock: while the database is away nothing renews the claims
            // here, and another replica, for which it is not, may have taken the mail.
            let is_claimed = |held: &HeldMail| Instant::now() < held.placed.mail.held_until;
            if self.held.get(&id).is_some_and(is_claimed) {
                return self.held.get(&id).map(|held| &held.placed.mail);
            }
            // Forgotten, not put back: whoever claims it next sends it.
            self.held.remove(&id);
        }
        None
    }

    /// Puts a mail that `next` gave out back in front.
    pub(super) fn put_back(&mut self, id: Uuid) {
        if let Some(turn) = self.held.get(&id).map(|held| held.placed.mail.turn()) {
            self.line(turn).push_front(id);
        }
    }

    pub(super) fn sent(&mut self, id: Uuid, stream: StreamId, span: Context) {
        if let Some(held) = self.held.get_mut(&id) {
            held.whereabouts = Whereabouts::Sent { stream, span };
        }
    }

    /// Notes the answer to a mail that was sent on this stream, and returns the mail with its span.
    pub(super) fn answered(
        &mut self,
        id: Uuid,
        stream: StreamId,
    ) -> Option<(&ClaimedMail, Context)> {
        let held = self.held.get_mut(&id)?;
        let span = match &held.whereabouts {
            // A late answer of an earlier stream must not count for the attempt that is under way.
            Whereabouts::Sent { stream: on, span } if *on == stream => span.clone(),
            _ => return None,
        };
        // Kept until it is recorded: with it goes the claim, and its place in memory, so that a
        // database that is away stops the flow.
        held.whereabouts = Whereabouts::Answered;
        Some((&held.placed.mail, span))
    }

    /// Puts what a stream left unanswered back in front. Returns the spans of those attempts, and
    /// the mails that have seen too many streams break: they count as answered.
    pub(super) fn broken(&mut self, stream: StreamId) -> (Vec<Context>, Vec<&ClaimedMail>) {
        let (mut spans, mut lost) = (Vec::new(), Vec::new());
        for held in self.held.values_mut() {
            match &held.whereabouts {
                Whereabouts::Sent { stream: on, span } if *on == stream => spans.push(span.clone()),
                _ => continue,
            }
            // Counted by the mail: if it is the one that breaks its streams, only its own count
            // tells.
            held.breaks += 1;
            if held.breaks >= MOST_BREAKS {
                held.whereabouts = Whereabouts::Answered;
                lost.push(&held.placed.mail);
                continue;
            }
            held.whereabouts = Whereabouts::Waiting;
            let line = match held.placed.mail.turn() {
                Turn::First => &mut self.first,
                Turn::Later => &mut self.later,
            };
            line.push_front(held.placed.mail.claim.code_id); // it had its turn already
        }
        (spans, lost)
    }

    /// Lets go of what waits, and returns its claims.
    pub(super) fn take_waiting(&mut self) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(self.first.len() + self.later.len());
        for id in self.first.drain(..).chain(self.later.drain(..)) {
            claims.extend(self.held.remove(&id).map(|held| held.placed.mail.claim));
        }
        claims
    }

    /// Lets go of what was sent and not answered, and returns its claims.
    pub(super) fn take_sent(&mut self) -> Vec<Claim> {
        let is_sent = |held: &HeldMail| matches!(held.whereabouts, Whereabouts::Sent { .. });
        let sent = self.held.extract_if(|_, held| is_sent(held));
        sent.map(|(_, held)| held.placed.mail.claim).collect()
    }

    /// Forgets a mail; its room is free again once it is dropped.
    pub(super) fn forget(&mut self, id: Uuid) -> Option<ClaimedMail> {
        self.held.remove(&id).map(|held| held.placed.mail)
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        self.held
            .values()
            .map(|held| held.placed.mail.claim)
            .collect()
    }

    /// The claim under which this one is held now: it may have been adopted since an answer came.
    pub(super) fn claim(&self, id: Uuid) -> Option<Claim> {
        self.held.get(&id).map(|held| held.placed.mail.claim)
    }

    /// Notes that these codes' claims were renewed at `at`.
    pub(super) fn renewed(&mut self, at: Instant, codes: &[Uuid]) {
        // The others were not: somebody else has claimed them, and what is held here of them is not
        // sent once their time is over.
        for id in codes {
            // Never earlier: a claim that was adopted meanwhile may end later than this renewal's.
            if let Some(held) = self.held.get_mut(id) {
                held.placed.mail.held_until = held.placed.mail.held_until.max(at + self.lease);
            }
        }
    }

    /// How many wait for their turn.
    pub(super) fn waiting(&self, turn: Turn) -> usize {
        match turn {
            Turn::First => self.first.len(),
            Turn::Later => self.later.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn line(&mut self, turn: Turn) -> &mut VecDeque<Uuid> {
        match turn {
            Turn::First => &mut self.first,
            Turn::Later => &mut self.later,
        }
    }
}
