//! One open `Deliver` stream, seen from the side that sends: what its mailer takes, and what it has
//! not answered yet.

use kit::serve::Replica;
use proto::mailer::DeliverRequest;
use tokio::{sync::mpsc, time::Instant};

use crate::domain::Turn;

#[derive(Debug)]
pub(super) struct OpenStream {
    /// Which of the mailers it goes to.
    pub(super) mailer: Replica,
    /// Nothing more is sent without it.
    requests: Option<mpsc::UnboundedSender<DeliverRequest>>,
    /// The number of the newest mail on it.
    pub(super) last: u64,
    /// What Hello said; nothing is sent before it.
    pub(super) window: usize,
    unanswered: usize,
    /// Of these: mails that were tried before.
    unanswered_later: usize,
    pub(super) paused_until: Option<Instant>,
    /// The mailer only answers what it holds.
    pub(super) is_draining: bool,
}

impl OpenStream {
    /// A stream on which the mailer has not said anything yet.
    pub(super) fn new(mailer: Replica, requests: mpsc::UnboundedSender<DeliverRequest>) -> Self {
        Self {
            mailer,
            requests: Some(requests),
            last: 0,
            window: 0,
            unanswered: 0,
            unanswered_later: 0,
            paused_until: None,
            is_draining: false,
        }
    }

    /// Sends the mail with this number, unless the stream is over and its end not yet heard.
    pub(super) fn send(&mut self, number: u64, turn: Turn, request: DeliverRequest) -> bool {
        let requests = self.requests.as_ref();
        if requests.is_none_or(|requests| requests.send(request).is_err()) {
            // With a window it would be the roomiest again.
            self.window = 0;
            return false;
        }
        self.last = number;
        self.unanswered += 1;
        self.unanswered_later += usize::from(turn == Turn::Later);
        true
    }

    pub(super) fn answered(&mut self, turn: Turn) {
        let later = usize::from(turn == Turn::Later);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.unanswered_later = self.unanswered_later.saturating_sub(later);
    }

    /// Says that nothing more comes.
    pub(super) fn leave(&mut self) {
        self.is_draining = true;
        self.requests = None;
    }

    /// How many unanswered mails it may hold; 0 while it takes none.
    pub(super) fn window(&self, now: Instant) -> usize {
        let takes_mails = !self.is_draining && self.paused_until.is_none_or(|until| until <= now);
        if takes_mails { self.window } else { 0 }
    }

    pub(super) fn free(&self, now: Instant) -> usize {
        self.window(now).saturating_sub(self.unanswered)
    }

    /// How many more mails it takes.
    pub(super) fn room(&self, now: Instant, turn: Turn) -> usize {
        let (window, free) = (self.window(now), self.free(now));
        match turn {
            // They leave the others a quarter: no storm of sign-ups stops what waits longest.
            Turn::First => {
                let unanswered_first = self.unanswered.saturating_sub(self.unanswered_later);
                free.min((window - window / 4).saturating_sub(unanswered_first))
            }
            // Half of the window at most: hanging mailboxes leave room for the others.
            Turn::Later => free.min(window.div_ceil(2).saturating_sub(self.unanswered_later)),
        }
    }

    /// The same in eighths of the window: what was answered a moment earlier makes no difference.
    pub(super) fn roominess(&self, now: Instant, turn: Turn) -> usize {
        self.room(now, turn).div_ceil((self.window / 8).max(1))
    }
}
