//! How a mail server may treat a mail without refusing it for good. `Moods` says which attempt
//! meets which.

use clap::ValueEnum;
use rand::{RngExt as _, seq::IndexedRandom as _};
use serde::Serialize;

use crate::chance::dice;

/// One way to treat an attempt. After each of them the mail can still be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// 451 at RCPT, as greylisting does
    Greylist,
    /// 421 at RCPT, and the connection is closed
    Busy,
    /// 421 after the final dot, and the connection is closed
    BusyAtDot,
    /// The connection is reset at RCPT
    ResetAtRcpt,
    /// The connection is reset in the middle of the message
    ResetInData,
    /// The message is accepted, and the connection reset before the answer
    ResetAfterDot,
    /// The answer to the final dot takes up to a second
    Delay,
    /// Answers come octet by octet
    Slow,
    /// RCPT is not answered until the faults are over
    Hang,
    /// The final dot is answered by 250 and nothing behind it
    Bare,
    /// The answer to the final dot has octets of Latin-1
    Latin,
    /// The answer to the final dot is a line of 1,600 octets
    LongLine,
    /// Answers end with LF alone
    BareLf,
    /// The answer to the final dot has 2,000 lines
    ManyLines,
    /// 550 or 553 at RCPT for a reason that is not the mailbox
    Policy,
}

/// Which attempts meet a mood.
#[derive(Debug, Clone)]
pub struct Moods {
    /// Decides who meets what.
    pub seed: u64,
    /// Which part of first attempts meets one, from 0 to 1; of second attempts a quarter of that,
    /// of later ones none.
    pub share: f64,
    /// Those to choose from; with none, everything is accepted at once.
    pub list: Vec<Mood>,
}

impl Moods {
    /// Everything is accepted at once.
    pub fn none() -> Self {
        Self {
            seed: 0,
            share: 0.0,
            list: Vec::new(),
        }
    }

    /// What this attempt meets, 1 for the first.
    pub(super) fn of(&self, recipient: &str, attempt: u32) -> Option<Mood> {
        let share = match attempt {
            1 => self.share,
            2 => self.share / 4.0,
            _ => return None,
        };
        // By the recipient, so that the order of mails does not matter: a seed repeats its moods.
        let mut dice = dice(self.seed, &format!("mood {attempt} {recipient}"));
        let mood = *self.list.choose(&mut dice)?;
        // Twice without an answer to the final dot, and the mail rightly waits for an hour.
        let may_be = attempt == 1 || mood != Mood::ResetAfterDot;
        (dice.random_bool(share) && may_be).then_some(mood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moods_follow_from_seed_recipient_and_attempt_and_end_with_the_third() {
        let moods = Moods {
            seed: 1,
            share: 0.4,
            list: Mood::value_variants().to_vec(),
        };
        let met = |attempt| {
            let recipients = (0..1_000).map(|number| format!("{number}@example.com"));
            let moods = recipients.map(|recipient| moods.of(&recipient, attempt));
            moods.collect::<Vec<_>>()
        };
        let count = |attempt| met(attempt).iter().flatten().count();
        assert_eq!(met(1), met(1));
        assert!((300..500).contains(&count(1)), "{}", count(1));
        assert!((50..150).contains(&count(2)), "{}", count(2));
        assert_eq!(count(3), 0);
        assert!(!met(2).contains(&Some(Mood::ResetAfterDot)));
    }

    #[test]
    fn without_moods_everything_is_accepted() {
        assert_eq!(Moods::none().of("ada@example.com", 1), None);
    }
}
