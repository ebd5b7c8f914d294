//! What becomes of a mail after one attempt. The delivery asks and writes it into the code's row.

use std::time::Duration;

use super::schedule::{SLOW_END, jittered, wait_after};

/// After so many attempts whose outcome could not be learnt, a mail is given up.
const UNKNOWN_LIMIT: u32 = 3;

/// The mailer's longest plausible answer to "when shall I ask again".
const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(15 * 60);

/// Whose turn a mail waits for. Mails that were tried before may take half of what a mailer takes,
/// so that dead mailboxes, which come back again and again, hold nobody up; those that were not may
/// take three quarters, so that no storm of sign-ups stops what has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Mails that were never tried.
    First,
    /// Mails that were.
    Later,
}

/// How one attempt ended, as the mailer says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The mail server took the mail.
    Accepted,
    /// The mail server refused the recipient for good.
    Rejected,
    /// The mail cannot be made, or its key was used for another one.
    Invalid,
    /// No connection, or a transient answer.
    Unavailable,
    /// The answer to the last dot was lost.
    Unknown,
    /// Another attempt is under way; ask again after this time.
    InFlight(Duration),
}

impl Outcome {
    /// Its word in spans and metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::InFlight(_) => "in_flight",
        }
    }
}

/// What becomes of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has arrived: final.
    Accepted,
    /// Nobody will ever get it: final.
    Rejected,
    /// Given up, for this reason.
    Undelivered(&'static str),
    /// Tried again after this time.
    Again(Duration),
}

/// Decides. `attempts` counts this one; `unknown_attempts` is the mailer's count, which no broken
/// stream forgets.
pub(crate) fn fate(outcome: Outcome, attempts: u32, unknown_attempts: u32, random: f64) -> Fate {
    match outcome {
        Outcome::Accepted => Fate::Accepted,
        Outcome::Rejected => Fate::Rejected,
        Outcome::Invalid => Fate::Undelivered("invalid"),
        // What is under way may still be accepted, whatever came before.
        Outcome::InFlight(wait) => {
            Fate::Again(wait.clamp(Duration::from_secs(1), LONGEST_IN_FLIGHT))
        }
        // It may have arrived each time: one more would only be one more of the same mail.
        Outcome::Unknown | Outcome::Unavailable if unknown_attempts >= UNKNOWN_LIMIT => {
            Fate::Undelivered("outcome unknown")
        }
        Outcome::Unknown | Outcome::Unavailable if unknown_attempts == 2 => {
            Fate::Again(jittered(SLOW_END, random))
        }
        // The first time at once: the mail may well not have arrived, and somebody waits for it.
        Outcome::Unknown => Fate::Again(Duration::ZERO),
        Outcome::Unavailable => Fate::Again(wait_after(attempts, random)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_tried_at_once_then_slowly_then_given_up() {
        assert_eq!(
            fate(Outcome::Unknown, 1, 1, 0.5),
            Fate::Again(Duration::ZERO)
        );
        assert_eq!(fate(Outcome::Unknown, 2, 2, 0.5), Fate::Again(SLOW_END));
        assert_eq!(
            fate(Outcome::Unknown, 3, 3, 0.5),
            Fate::Undelivered("outcome unknown")
        );
    }

    #[test]
    fn unknown_attempts_are_remembered_when_the_mail_server_is_away_between_them() {
        assert_eq!(
            fate(Outcome::Unavailable, 2, 1, 0.5),
            Fate::Again(wait_after(2, 0.5))
        );
        assert_eq!(fate(Outcome::Unavailable, 3, 2, 0.5), Fate::Again(SLOW_END));
        assert_eq!(
            fate(Outcome::Unavailable, 4, 3, 0.5),
            Fate::Undelivered("outcome unknown")
        );
    }

    #[test]
    fn a_mail_under_way_elsewhere_is_asked_for_again_within_bounds() {
        assert_eq!(
            fate(Outcome::InFlight(Duration::ZERO), 9, 3, 0.5),
            Fate::Again(Duration::from_secs(1))
        );
        assert_eq!(
            fate(Outcome::InFlight(Duration::MAX), 9, 0, 0.5),
            Fate::Again(LONGEST_IN_FLIGHT)
        );
    }

    #[test]
    fn final_answers_are_final() {
        assert_eq!(fate(Outcome::Accepted, 9, 9, 0.5), Fate::Accepted);
        assert_eq!(fate(Outcome::Rejected, 1, 0, 0.5), Fate::Rejected);
        assert_eq!(
            fate(Outcome::Invalid, 1, 0, 0.5),
            Fate::Undelivered("invalid")
        );
    }
}
