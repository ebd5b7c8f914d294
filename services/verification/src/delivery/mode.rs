//! What `mail_loop` does with the mails that it holds, and how it comes from one mode to the next;
//! its opening comment has the drawing.

use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Sending,
    Waiting,
    Away,
    /// Answers are waited for until then.
    Draining(Instant),
    Leaving,
}

impl Mode {
    /// The mode for now, with streams that take `window` mails together.
    pub(super) fn next(self, window: usize, now: Instant) -> Self {
        match self {
            Self::Draining(until) if until <= now => Self::Leaving,
            Self::Draining(_) | Self::Leaving => self,
            _ if window > 0 => Self::Sending,
            // Without a window, but nobody said that a mailer is away: a stream broke or drains,
            // and its successor is being opened. What is held waits for that, and keeps its claim.
            Self::Sending => Self::Waiting,
            Self::Waiting | Self::Away => self,
        }
    }

    /// The mode once a mailer cannot be used for a while.
    pub(super) fn without_mailer(self, window: usize) -> Self {
        // It was the last one: nothing that is held will be sent soon.
        if window == 0 && !self.is_ending() {
            Self::Away
        } else {
            self
        }
    }

    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Draining(_) | Self::Leaving)
    }
}
