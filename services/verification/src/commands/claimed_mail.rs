//! What commands give to the delivery: a mail that this process holds a claim on.

use kit::{Private, clock::Timestamp, db::Tx, propagation};
use opentelemetry::Context;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    domain::{Digits, Turn},
    store::{Claim, Code, Verification},
};

/// A claimed mail on its way to the mailer.
#[derive(Debug)]
pub(crate) struct ClaimedMail {
    /// The code, and the claim under which the mail is held.
    pub(crate) claim: Claim,
    pub(crate) account_id: Uuid,
    /// How often the mailer has tried it.
    pub(crate) attempts: u32,
    pub(crate) email: Private<String>,
    pub(crate) display_name: Private<String>,
    pub(crate) locale: String,
    pub(crate) digits: Digits,
    pub(crate) expires_at: Timestamp,
    /// The same by this process's monotonic clock, as far from the claim as it was by the
    /// database's.
    pub(crate) expires: Instant,
    /// When its claim ends by this process's clock, unless it is renewed.
    pub(crate) held_until: Instant,
    /// With an account's first code: when the account was committed.
    pub(crate) account_created_at: Option<Timestamp>,
    /// Trace context of what caused the code.
    pub(crate) context: Context,
}

impl ClaimedMail {
    /// The mail of a code that `tx` claimed.
    pub(super) fn new(tx: &Tx, code: &Code, verification: &Verification, digits: Digits) -> Self {
        let is_first_code = code.number == 1;
        Self {
            claim: Claim {
                code_id: code.id,
                claim_no: code.claim_no,
            },
            account_id: code.account_id,
            attempts: u32::try_from(code.mail_attempts).unwrap_or(0),
            email: verification.email.clone().into(),
            display_name: verification.display_name.clone().into(),
            locale: verification.locale.clone(),
            digits,
            expires_at: code.expires_at,
            // From `begun`, which is not after the database read its clock: here the time is over a
            // little early, never late.
            expires: tx.begun() + code.expires_at.since(tx.now()),
            held_until: tx.begun() + code.claimed_until.since(tx.now()),
            account_created_at: is_first_code.then_some(verification.account_created_at),
            context: propagation::from_traceparent(&code.traceparent, &code.tracestate),
        }
    }

    /// Whose turn it waits for.
    pub(crate) fn turn(&self) -> Turn {
        match self.attempts {
            0 => Turn::First,
            _ => Turn::Later,
        }
    }
}
