//! What a client hears of an offered mail, and what of it the ledger can say without an attempt.

use std::time::Duration;

use kit::clock::Timestamp;

use crate::{
    domain::Outcome,
    ledger::{Away, Standing, State},
};

/// What becomes of an offered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How it stands.
    pub(crate) fate: Fate,
    /// All attempts so far whose outcome could not be learnt.
    pub(crate) unknown_attempts: u32,
    /// Whether an attempt got as far as the mail server, or may have.
    pub(crate) reached: bool,
    /// Why, redacted.
    pub(crate) reason: String,
}

/// How an offered mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Accepted, now or before.
    Accepted(Option<Timestamp>),
    /// An attempt ended, or the mail cannot be made.
    Ended(Outcome),
    /// Not tried: to be offered again after that time.
    Later(Duration),
}

/// Not possible now.
pub(super) const UNAVAILABLE: Fate = Fate::Ended(Outcome::Unavailable);

impl Answer {
    /// The answer to a mail that no attempt was made on.
    pub(crate) fn not_tried(fate: Fate, reason: &str) -> Self {
        Self {
            fate,
            unknown_attempts: 0,
            reached: false,
            reason: reason.to_owned(),
        }
    }
}

impl From<Away> for Answer {
    fn from(_: Away) -> Self {
        Self::not_tried(UNAVAILABLE, "the mailer's database does not answer")
    }
}

/// What the ledger says without an attempt; `None` if the mail may be sent.
pub(super) fn answer_of(standing: Standing) -> Option<Answer> {
    let (fate, reached, reason) = match standing.state {
        State::Open => return None,
        State::InFlight(left) => (
            Fate::Later(left),
            false,
            "another attempt is under way".to_owned(),
        ),
        State::Lapsed => (
            Fate::Ended(Outcome::Unknown),
            true,
            "the sender was lost during an attempt".to_owned(),
        ),
        State::Unknowable => (
            Fate::Ended(Outcome::Unknown),
            true,
            "the outcomes of earlier attempts are unknown".to_owned(),
        ),
        State::Final {
            outcome: Outcome::Accepted,
            at,
            ..
        } => (Fate::Accepted(at), true, String::new()),
        State::Final {
            outcome, reason, ..
        } => (Fate::Ended(outcome), outcome == Outcome::Rejected, reason),
        State::OtherRequest => (
            Fate::Ended(Outcome::Invalid),
            false,
            "code_id: the key was used for another mail".to_owned(),
        ),
    };
    Some(Answer {
        fate,
        unknown_attempts: standing.unknown_attempts,
        reached,
        reason,
    })
}

/// A claim that was refused on an open mail: somebody settled it in between.
pub(super) fn busy() -> Answer {
    Answer::not_tried(
        Fate::Later(Duration::from_secs(1)),
        "another attempt has just ended",
    )
}
