//! A mail as the mailer's message, under its `deliver` span; the mailer's result as the attempt
//! that is recorded.

use std::time::Duration;

use kit::{
    clock::Timestamp,
    propagation,
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue};
use proto::mailer::{self, DeliverRequest};
use uuid::Uuid;

use crate::{
    commands::{ClaimedMail, record_outcomes::MailAttempt},
    domain::Outcome,
};

const LONGEST_REASON: usize = 300;

/// The codes whose rejections are taken back.
pub(super) fn taken_back(said: &mailer::TakenBack) -> Vec<Uuid> {
    let ids = said.code_ids.iter();
    ids.filter_map(|id| Uuid::try_parse(id).ok()).collect()
}

/// Begins the attempt's span and encodes the mail under it.
pub(super) fn request(mail: &ClaimedMail) -> (DeliverRequest, Context) {
    let attempt = mail.attempts + 1;
    let attributes = [
        KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
        KeyValue::new(names::USHER_ACCOUNT_ID, mail.account_id.to_string()),
        KeyValue::new(names::USHER_CODE_ID, mail.claim.code_id.to_string()),
        KeyValue::new(names::USHER_ATTEMPT, i64::from(attempt)),
    ];
    let context = span::client(names::DELIVER, &mail.context, attributes);
    let (traceparent, tracestate) = propagation::to_traceparent(&context);
    let message = mailer::Mail {
        code_id: mail.claim.code_id.to_string(),
        account_id: mail.account_id.to_string(),
        email: mail.email.expose().clone(),
        display_name: mail.display_name.expose().clone(),
        locale: mail.locale.clone(),
        digits: mail.digits.expose().to_owned(),
        expires_at: Some(mail.expires_at.into()),
        attempt,
        traceparent,
        tracestate,
    };
    let mail = Some(message);
    (DeliverRequest { mail }, context)
}

/// Ends the attempt's span and reads the result.
pub(super) fn attempt(
    mail: &ClaimedMail,
    result: &mailer::Result,
    context: &Context,
) -> MailAttempt {
    let outcome = match result.outcome() {
        mailer::Outcome::Accepted => Outcome::Accepted,
        mailer::Outcome::Rejected => Outcome::Rejected,
        mailer::Outcome::Invalid => Outcome::Invalid,
        mailer::Outcome::Unknown => Outcome::Unknown,
        mailer::Outcome::InFlight => Outcome::InFlight(wait(result.retry_after.as_ref())),
        // Unspecified is an outcome that this version does not know: tried again, the mailer knows
        // what it did.
        mailer::Outcome::Unavailable | mailer::Outcome::Unspecified => Outcome::Unavailable,
    };
    let word = KeyValue::new(names::USHER_MAIL_OUTCOME, outcome.word());
    span::set(context, word);
    match outcome {
        Outcome::Accepted => span::end(context),
        other => span::fail(context, other.word()),
    }
    MailAttempt {
        claim: mail.claim,
        account_id: mail.account_id,
        earlier_attempts: mail.attempts,
        outcome,
        unknown_attempts: result.unknown_attempts,
        // Generously: a code of which a mail may have arrived must not be replaced as unsent.
        reached: result.reached || result.unknown_attempts > 0 || outcome == Outcome::Unknown,
        accepted_at: result.accepted_at.as_ref().and_then(Timestamp::from_proto),
        reason: redacted(&result.reason, mail),
    }
}

/// What is recorded of a mail whose stream broke again and again before an answer.
pub(super) fn unanswered(mail: &ClaimedMail) -> MailAttempt {
    MailAttempt {
        claim: mail.claim,
        account_id: mail.account_id,
        earlier_attempts: mail.attempts,
        // Not `Unknown`: whether it was sent is the ledger's to say, at the next attempt.
        outcome: Outcome::Unavailable,
        unknown_attempts: 0,
        reached: false,
        accepted_at: None,
        reason: "the mailer's stream broke each time".to_owned(),
    }
}

/// A duration that a message says; a nonsensical one is none.
pub(super) fn wait(duration: Option<&prost_types::Duration>) -> Duration {
    duration
        .and_then(|wait| Duration::try_from(*wait).ok())
        .unwrap_or_default()
}

fn redacted(reason: &str, mail: &ClaimedMail) -> String {
    // The mailer has taken out what is secret; should it ever not, the history stays clean.
    let reason = reason
        .replace(mail.email.expose(), "<redacted>")
        .replace(mail.digits.expose(), "<redacted>");
    reason
        .chars()
        .filter(|char| !char.is_control())
        .take(LONGEST_REASON)
        .collect()
}
