//! Says on the wire what became of a mail.

use std::time::Duration;

use proto::mailer::{MailAttempt, Outcome as Word, Result as MailResult};

use crate::commands::{Answer, Outcome, PastAttempt, deliver::DeliverError};

/// The result of a mail that the ledger knows about. The key goes back as it came.
pub(super) fn answer(code_id: String, answer: Answer) -> MailResult {
    MailResult {
        code_id,
        outcome: answer.outcome.map_or(Word::InFlight, word).into(),
        retry_after: answer.retry_after.and_then(|after| after.try_into().ok()),
        unknown_attempts: answer.unknown_attempts,
        reason: answer.reason,
        accepted_at: answer.accepted_at.map(Into::into),
        reached: answer.reached,
    }
}

/// The result of a mail that was not tried; `None` where nobody waits for one.
pub(super) fn failure(code_id: String, error: &DeliverError) -> Option<MailResult> {
    let (outcome, retry_after, unknown_attempts) = match error {
        DeliverError::Abandoned => return None,
        // IN_FLIGHT counts no attempt: another replica may send it at once, and nobody is to blame.
        DeliverError::Stopping => (None, Some(Duration::ZERO), 0),
        DeliverError::CircuitOpen {
            pause,
            unknown_attempts,
        } => (None, Some(*pause), *unknown_attempts),
        DeliverError::Ledger {
            unknown_attempts, ..
        } => (Some(Outcome::Unavailable), None, *unknown_attempts),
    };
    Some(answer(
        code_id,
        Answer {
            outcome,
            retry_after,
            unknown_attempts,
            reason: error.to_string(),
            ..Answer::default()
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
    MailAttempt {
        code_id: attempt.code_id.to_string(),
        account_id: attempt.account_id.to_string(),
        attempt: u32::try_from(attempt.attempt).unwrap_or(0),
        outcome: word(attempt.outcome).into(),
        reply: attempt.reply,
        at: Some(attempt.ended_at.into()),
        trace_id: attempt.trace_id,
    }
}

fn word(outcome: Outcome) -> Word {
    match outcome {
        Outcome::Accepted => Word::Accepted,
        Outcome::Unavailable => Word::Unavailable,
        Outcome::Rejected => Word::Rejected,
        Outcome::Invalid => Word::Invalid,
        Outcome::Unknown => Word::Unknown,
    }
}
