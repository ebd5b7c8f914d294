//! One open `Deliver` stream: what the mailer said that it takes, and what it has not answered yet.

use proto::mailer::DeliverRequest;
use tokio::{sync::mpsc, time::Instant};

use crate::domain::mail::Turn;

/// A stream, seen from the side that sends.
#[derive(Debug)]
pub(super) struct Stream {
    /// Which of the mailers it goes to.
    mailer: usize,
    /// Never holds more than the window: `room` is asked before each `send`.
    requests: mpsc::UnboundedSender<DeliverRequest>,
    /// What Hello said; nothing is sent before it.
    window: usize,
    unanswered: usize,
    /// Of these: mails that were tried before.
    unanswered_again: usize,
    paused_until: Option<Instant>,
    draining: bool,
}

impl Stream {
    /// A stream on which the mailer has not said anything yet.
    pub(super) fn new(mailer: usize, requests: mpsc::UnboundedSender<DeliverRequest>) -> Self {
        Self {
            mailer,
            requests,
            window: 0,
            unanswered: 0,
            unanswered_again: 0,
            paused_until: None,
            draining: false,
        }
    }

    /// Which of the mailers it goes to.
    pub(super) fn mailer(&self) -> usize {
        self.mailer
    }

    /// The mailer said Hello.
    pub(super) fn greet(&mut self, window: u32) {
        self.window = usize::try_from(window).unwrap_or(usize::MAX);
    }

    /// The mailer said Pause.
    pub(super) fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
    }

    /// When the pause ends, or ended.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// The mailer said Draining, or does not listen any more.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether it only answers what it holds.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// How many unanswered mails it may hold; 0 while it takes none.
    pub(super) fn window(&self, now: Instant) -> usize {
        let takes_mails = !self.draining && self.paused_until.is_none_or(|until| until <= now);
        if takes_mails { self.window } else { 0 }
    }

    /// How many more mails it takes. Those that were tried before take half of the window at most: hanging mailboxes
    /// leave room for the others.
    pub(super) fn room(&self, now: Instant, turn: Turn) -> usize {
        let window = self.window(now);
        let free = window.saturating_sub(self.unanswered);
        match turn {
            Turn::First => free,
            Turn::Again => free.min(window.div_ceil(2).saturating_sub(self.unanswered_again)),
        }
    }

    /// Sends a mail; `false` when the stream is over and its end not yet heard.
    pub(super) fn send(&mut self, turn: Turn, request: DeliverRequest) -> bool {
        if self.requests.send(request).is_err() {
            self.window = 0;
            return false;
        }
        self.unanswered += 1;
        self.unanswered_again += usize::from(turn == Turn::Again);
        true
    }

    /// A mail was answered.
    pub(super) fn answered(&mut self, turn: Turn) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.unanswered_again = self
            .unanswered_again
            .saturating_sub(usize::from(turn == Turn::Again));
    }
}
