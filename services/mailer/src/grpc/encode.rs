//! Says on the wire what became of a mail.

use proto::mailer::{MailAttempt, Outcome as Word, Result as MailResult};

use crate::{
    commands::{Outcome, PastAttempt, deliver::DeliverError},
    domain::{Answer, Fate},
};

/// The result of a mail that the ledger knows about. The key goes back as it came.
pub(super) fn answer(code_id: String, answer: Answer) -> MailResult {
    let (outcome, retry_after, accepted_at) = match answer.fate {
        Fate::Accepted(at) => (Word::Accepted, None, at),
        Fate::Rejected => (Word::Rejected, None, None),
        Fate::Invalid => (Word::Invalid, None, None),
        Fate::Unavailable => (Word::Unavailable, None, None),
        Fate::Unknown => (Word::Unknown, None, None),
        Fate::InFlight(left) => (Word::InFlight, Some(left), None),
    };
    MailResult {
        code_id,
        outcome: outcome.into(),
        retry_after: retry_after.and_then(|after| after.try_into().ok()),
        unknown_attempts: answer.unknown_attempts,
        reason: answer.reason,
        accepted_at: accepted_at.map(Into::into),
        reached: answer.reached,
    }
}

/// The result of a mail that was not tried; `None` where nobody waits for one.
pub(super) fn failure(code_id: String, error: &DeliverError) -> Option<MailResult> {
    let (fate, unknown_attempts) = match error {
        DeliverError::Abandoned => return None,
        // IN_FLIGHT counts no attempt: another replica may send it at once, and nobody is to blame.
        DeliverError::Stopping => (Fate::InFlight(std::time::Duration::ZERO), 0),
        DeliverError::CircuitOpen {
            pause,
            unknown_attempts,
        } => (Fate::InFlight(*pause), *unknown_attempts),
        DeliverError::Ledger {
            unknown_attempts, ..
        } => (Fate::Unavailable, *unknown_attempts),
    };
    Some(answer(
        code_id,
        Answer {
            fate,
            unknown_attempts,
            reached: false,
            reason: error.to_string(),
        },
    ))
}

/// The result of a mail whose delivery panicked.
pub(super) fn broken(code_id: String) -> MailResult {
    MailResult {
        code_id,
        outcome: Word::Unavailable.into(),
        reason: "the mailer failed; its log says why".to_owned(),
        ..MailResult::default()
    }
}

pub(super) fn attempt(attempt: PastAttempt) -> MailAttempt {
    let outcome = match attempt.outcome {
        Outcome::Accepted => Word::Accepted,
        Outcome::Unavailable => Word::Unavailable,
        Outcome::Rejected => Word::Rejected,
        Outcome::Invalid => Word::Invalid,
        Outcome::Unknown => Word::Unknown,
    };
    MailAttempt {
        code_id: attempt.code_id.to_string(),
        account_id: attempt.account_id.to_string(),
        attempt: u32::try_from(attempt.attempt).unwrap_or(0),
        outcome: outcome.into(),
        reply: attempt.reply,
        at: Some(attempt.ended_at.into()),
        trace_id: attempt.trace_id,
    }
}
