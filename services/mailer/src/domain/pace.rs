//! What the mail server's answers take lately, and so how long a silence has to be to tell
//! something: the measure by which `admission` makes room.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many answered mails are remembered: half of them decide what is usual, so it follows a mail
/// server that becomes slow within some dozen mails.
const REMEMBERED: usize = 50;
/// No silence is held against a mailbox before that: so much is a pause of the mail server's, or of
/// the network's.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(50);

/// How long a conversation may be silent while others wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tolerated {
    /// Then it goes on in the overflow, where it takes nobody's place.
    pub(crate) in_its_seat: Duration,
    /// Then it may be dropped, if the overflow is full.
    pub(crate) at_all: Duration,
}

/// How long the mail server let the mails wait that it answered lately.
#[derive(Debug)]
pub(crate) struct Pace {
    slow_after: Duration,
    waits: VecDeque<Duration>,
    heard_at: Option<Instant>,
    tolerated: Tolerated,
}

impl Pace {
    /// Of a mail server that has not answered yet.
    pub(crate) fn new(slow_after: Duration) -> Self {
        Self {
            slow_after,
            waits: VecDeque::with_capacity(REMEMBERED),
            heard_at: None,
            tolerated: Tolerated::all(slow_after),
        }
    }

    /// The mail server said something to a mail.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// All that a mail asks before its final dot was answered, after waits of which `longest` was the longest.
    pub(crate) fn answered(&mut self, longest: Duration) {
        if self.waits.len() == REMEMBERED {
            self.waits.pop_front();
        }
        self.waits.push_back(longest);
        let mut waits = Vec::from_iter(self.waits.iter().copied());
        waits.sort_unstable();
        self.tolerated = Tolerated::of(waits[waits.len() / 2], self.slow_after);
    }

    /// How long a silence is tolerated: by what is usual, and for `slow_after` when the mail server
    /// has said nothing to anybody for that long. Then it is not this mailbox that is silent.
    pub(crate) fn tolerates(&self, now: Instant) -> Tolerated {
        let recent = |at: Instant| now.saturating_duration_since(at) < self.slow_after;
        match self.heard_at.is_some_and(recent) {
            true => self.tolerated,
            false => Tolerated::all(self.slow_after),
        }
    }
}

impl Tolerated {
    /// The same in any place.
    pub(crate) fn all(long: Duration) -> Self {
        Self {
            in_its_seat: long,
            at_all: long,
        }
    }

    /// Half as long again as usual, and four times as long, measured by the median: many mailboxes that are merely
    /// slow do not stretch it, and a mail server that is slow for all does.
    fn of(usual: Duration, slow_after: Duration) -> Self {
        let in_its_seat = usual * 3 / 2;
        let at_all = (usual * 4).max(SHORTEST_PATIENCE).min(slow_after);
        Self {
            in_its_seat,
            at_all: at_all.max(in_its_seat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SLOW_AFTER: Duration = Duration::from_secs(2);

    /// After mails with these waits in milliseconds, of a mail server that speaks.
    fn patience(waits: &[u32]) -> [Duration; 2] {
        let (mut pace, now) = (Pace::new(SLOW_AFTER), Instant::now());
        for wait in waits {
            pace.answered(*wait * MS);
        }
        pace.heard(now);
        let Tolerated {
            in_its_seat,
            at_all,
        } = pace.tolerates(now);
        [in_its_seat, at_all]
    }

    #[test]
    fn it_is_a_multiple_of_what_is_usual() {
        assert_eq!(patience(&[40, 50, 40, 30]), [60 * MS, 160 * MS]);
    }

    #[test]
    fn a_quick_mail_server_may_make_a_pause() {
        assert_eq!(patience(&[2]), [3 * MS, 50 * MS]);
    }

    #[test]
    fn slow_mailboxes_stretch_it_only_if_they_are_most() {
        assert_eq!(patience(&[40, 9_000, 40, 9_000, 40]), [60 * MS, 160 * MS]);
    }

    #[test]
    fn a_mail_server_that_is_slow_for_all_is_waited_for() {
        assert_eq!(patience(&[900; 3]), [1_350 * MS, 2_000 * MS]);
        assert_eq!(patience(&[3_000; 3]), [4_500 * MS, 4_500 * MS]);
    }

    #[test]
    fn what_is_usual_is_what_was_usual_lately() {
        let mut waits = [5; 200];
        waits[170..].fill(400);
        assert_eq!(patience(&waits), [600 * MS, 1_600 * MS]);
    }

    #[test]
    fn nothing_is_held_against_a_mailbox_while_nobody_hears_anything() {
        let (mut pace, now) = (Pace::new(SLOW_AFTER), Instant::now());
        let unknown = Tolerated::all(SLOW_AFTER);
        assert_eq!(pace.tolerates(now), unknown);
        pace.answered(MS);
        assert_eq!(pace.tolerates(now), unknown);
        pace.heard(now);
        assert_ne!(pace.tolerates(now + SLOW_AFTER - MS), unknown);
        assert_eq!(pace.tolerates(now + SLOW_AFTER), unknown);
    }
}
