//! Facts that may wait for company: those that follow one another soon share a transaction, and one
//! that comes alone is written at once. Only for what is known elsewhere, too: a crash meanwhile has
//! it asked for once more.

use std::time::Duration;

use tokio::time::Instant;

/// Nobody notices it, and at a hundred facts a second five of them share a transaction.
const PAUSE: Duration = Duration::from_millis(50);

/// When the facts that have gathered are to be written.
#[derive(Debug)]
pub struct Company {
    /// How soon after the last ones the next are written.
    pause: Duration,
    written_at: Option<Instant>,
}

impl Company {
    /// For facts about what is claimed for `lease`.
    pub fn new(lease: Duration) -> Self {
        Self {
            // A small part of it, so that no claim runs out by it.
            pause: PAUSE.min(lease / 200),
            written_at: None,
        }
    }

    /// From now on nothing comes that could go along.
    pub fn wait_no_more(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// When the next ones are to be written: those that come alone, at once.
    pub fn due_at(&self) -> Instant {
        let now = Instant::now();
        self.written_at.map_or(now, |written| written + self.pause)
    }

    /// Some are written now.
    pub fn part(&mut self) {
        self.written_at = Some(Instant::now());
    }
}
