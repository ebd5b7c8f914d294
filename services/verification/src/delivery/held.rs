//! The mails that this process holds: waiting for a stream, sent, or answered and not yet settled. All of them are
//! claimed, and their claims renewed, until they are forgotten here.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use opentelemetry::Context;
use tokio::time::Instant;
use uuid::Uuid;

use super::streams::StreamId;
use crate::{
    commands::{Claim, Mail},
    domain::mail::Turn,
};

/// So many streams may break over one mail before it waits as after a failure: if it is the mail that breaks them,
/// it must not take the others along for ever.
const MOST_BREAKS: u8 = 3;

#[derive(Debug)]
struct Held {
    mail: Mail,
    place: Place,
    /// When its claim ends by this process's clock, unless it is renewed.
    held_until: Instant,
    breaks: u8,
}

#[derive(Debug)]
enum Place {
    Waiting,
    Sent { stream: StreamId, span: Context },
    Answered,
}

/// Mails by their code's id, and the order in which they wait.
#[derive(Debug)]
pub(super) struct Mails {
    held: HashMap<Uuid, Held>,
    first: VecDeque<Uuid>,
    again: VecDeque<Uuid>,
    lease: Duration,
}

impl Mails {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            held: HashMap::new(),
            first: VecDeque::new(),
            again: VecDeque::new(),
            lease,
        }
    }

    /// Takes claimed mails in. One that is held already has outlived its claim: the new one is adopted.
    pub(super) fn add(&mut self, mails: Vec<Mail>) {
        let held_until = Instant::now() + self.lease;
        for mail in mails {
            let id = mail.claim.code_id;
            if let Some(known) = self.held.get_mut(&id) {
                known.mail.claim = mail.claim;
                known.held_until = held_until;
                continue;
            }
            self.line(turn(&mail)).push_back(id);
            self.held.insert(
                id,
                Held {
                    mail,
                    place: Place::Waiting,
                    held_until,
                    breaks: 0,
                },
            );
        }
    }

    /// The next mail to send. One whose claim has run out is left to whoever claims it next.
    pub(super) fn next(&mut self, turn: Turn) -> Option<&Mail> {
        while let Some(id) = self.line(turn).pop_front() {
            match self.held.get(&id) {
                Some(held) if Instant::now() < held.held_until => {
                    return self.held.get(&id).map(|held| &held.mail);
                }
                _ => drop(self.held.remove(&id)),
            }
        }
        None
    }

    /// Puts a mail that `next` gave out back in front.
    pub(super) fn put_back(&mut self, id: Uuid) {
        if let Some(turn) = self.held.get(&id).map(|held| turn(&held.mail)) {
            self.line(turn).push_front(id);
        }
    }

    /// Notes that the mail is under way.
    pub(super) fn sent(&mut self, id: Uuid, stream: StreamId, span: Context) {
        if let Some(held) = self.held.get_mut(&id) {
            held.place = Place::Sent { stream, span };
        }
    }

    /// Notes the answer to a mail that was sent on this stream, and returns the mail with its span.
    pub(super) fn answered(&mut self, id: Uuid, stream: StreamId) -> Option<(&Mail, Context)> {
        let held = self.held.get_mut(&id)?;
        match std::mem::replace(&mut held.place, Place::Answered) {
            Place::Sent {
                stream: sent_on,
                span,
            } if sent_on == stream => Some((&held.mail, span)),
            other => {
                held.place = other;
                None
            }
        }
    }

    /// Puts what a stream left unanswered back in front. Returns the spans of those attempts, and the mails that
    /// have seen too many streams break: they count as answered.
    pub(super) fn broken(&mut self, stream: StreamId) -> (Vec<Context>, Vec<&Mail>) {
        let (mut spans, mut lost) = (Vec::new(), Vec::new());
        for held in self.held.values_mut() {
            let Place::Sent {
                stream: sent_on,
                span,
            } = &held.place
            else {
                continue;
            };
            if *sent_on != stream {
                continue;
            }
            spans.push(span.clone());
            held.breaks += 1;
            if held.breaks >= MOST_BREAKS {
                held.place = Place::Answered;
                lost.push(&held.mail);
            } else {
                held.place = Place::Waiting;
                let line = if turn(&held.mail) == Turn::First {
                    &mut self.first
                } else {
                    &mut self.again
                };
                line.push_front(held.mail.claim.code_id);
            }
        }
        (spans, lost)
    }

    /// Lets go of what waits, and returns its claims.
    pub(super) fn take_waiting(&mut self) -> Vec<Claim> {
        let waiting = self.first.drain(..).chain(self.again.drain(..));
        waiting
            .filter_map(|id| self.held.remove(&id))
            .map(|held| held.mail.claim)
            .collect()
    }

    /// Lets go of what was sent and not answered, and returns its claims.
    pub(super) fn take_sent(&mut self) -> Vec<Claim> {
        let sent = self
            .held
            .extract_if(|_, held| matches!(held.place, Place::Sent { .. }));
        sent.map(|(_, held)| held.mail.claim).collect()
    }

    /// Forgets settled mails; their room is free again. Returns one of them.
    pub(super) fn forget(&mut self, id: Uuid) -> Option<Mail> {
        self.held.remove(&id).map(|held| held.mail)
    }

    /// Everything that is claimed.
    pub(super) fn claims(&self) -> Vec<Claim> {
        self.held.values().map(|held| held.mail.claim).collect()
    }

    /// Notes that these claims were renewed at `at`.
    pub(super) fn renewed(&mut self, at: Instant, claims: &[Claim]) {
        for claim in claims {
            if let Some(held) = self
                .held
                .get_mut(&claim.code_id)
                .filter(|held| held.mail.claim == *claim)
            {
                held.held_until = at + self.lease;
            }
        }
    }

    /// How many wait for their turn.
    pub(super) fn waiting(&self, turn: Turn) -> usize {
        if turn == Turn::First {
            self.first.len()
        } else {
            self.again.len()
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn line(&mut self, turn: Turn) -> &mut VecDeque<Uuid> {
        if turn == Turn::First {
            &mut self.first
        } else {
            &mut self.again
        }
    }
}

/// Whose turn a mail waits for.
pub(super) fn turn(mail: &Mail) -> Turn {
    if mail.attempts == 0 {
        Turn::First
    } else {
        Turn::Again
    }
}
