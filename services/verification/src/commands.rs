//! What verification can do, a use case a file, named after it. `grpc`, `consumer` and `delivery`
//! call these; they know the domain and the store, and nothing of how they were called. Each opens
//! and commits its own transaction.

pub(crate) mod await_mail;
pub(crate) mod issue_first_code;
pub(crate) mod start_verifications;

pub(crate) mod claim_mails;
pub(crate) mod record_outcomes;
pub(crate) mod release_claims;
pub(crate) mod renew_claims;
pub(crate) mod take_back_rejections;

pub(crate) mod confirm_code;
pub(crate) mod get_verification;
pub(crate) mod reschedule_mails;
pub(crate) mod resend_code;
pub(crate) mod watch_verification;

pub(crate) mod count_codes;
pub(crate) mod count_due;
pub(crate) mod end_stale_claims;
pub(crate) mod forget_resends;
pub(crate) mod replace_unsendable;
pub(crate) mod serve_resends;

mod claimed_mail;
mod first_codes;
mod issue_code;

pub(crate) use self::{
    claimed_mail::ClaimedMail,
    first_codes::{FirstCodes, NewVerification},
    issue_code::{CodeRules, IssueCode},
};
// What commands take and give, for the edges, which name nothing behind them.
pub(crate) use crate::{
    code_keys::READ_EVERY,
    metrics::Metrics,
    store::{Claim, Code, CodeState, MailState},
};

/// Every way in which a command fails a caller, for the one place that tells them.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) enum CommandError {
    CountCodes(#[from] count_codes::CountCodesError),
    ConfirmCode(#[from] confirm_code::ConfirmCodeError),
    GetVerification(#[from] get_verification::GetVerificationError),
    IssueFirstCode(#[from] issue_first_code::IssueFirstCodeError),
    ResendCode(#[from] resend_code::ResendCodeError),
}
