//! Accounts and verifications as `--output json` shows them: Protobuf's messages with words for
//! enum numbers and RFC 3339 for times.

use kit::clock::Timestamp;
use proto::{
    accounts::{self as accounts_proto, AccountStatus},
    verification as verification_proto,
};
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    pub(crate) account_id: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) locale: String,
    pub(crate) status: String,
    pub(crate) created_at: Option<String>,
    pub(crate) verified_at: Option<String>,
}

impl From<accounts_proto::Account> for Account {
    fn from(account: accounts_proto::Account) -> Self {
        Self {
            status: word(account.status().as_str_name(), "ACCOUNT_STATUS_"),
            created_at: time(account.created_at.as_ref()),
            verified_at: time(account.verified_at.as_ref()),
            account_id: account.account_id,
            email: account.email,
            display_name: account.display_name,
            locale: account.locale,
        }
    }
}

impl Account {
    /// Whether the address has been confirmed.
    pub(crate) fn is_verified(&self) -> bool {
        self.status == word(AccountStatus::Verified.as_str_name(), "ACCOUNT_STATUS_")
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verification {
    pub(crate) account_id: String,
    pub(crate) created_at: Option<String>,
    pub(crate) verified_at: Option<String>,
    pub(crate) codes: Vec<Code>,
    pub(crate) history: Vec<HistoryEntry>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Code {
    pub(crate) code_id: String,
    pub(crate) number: u32,
    pub(crate) state: String,
    pub(crate) mail_state: String,
    pub(crate) created_at: Option<String>,
    pub(crate) expires_at: Option<String>,
    pub(crate) wrong_guesses: u32,
    pub(crate) mail_attempts: u32,
    pub(crate) next_attempt_at: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct HistoryEntry {
    pub(crate) at: Option<String>,
    pub(crate) code_id: String,
    pub(crate) what: String,
    pub(crate) detail: String,
}

impl From<verification_proto::Verification> for Verification {
    fn from(verification: verification_proto::Verification) -> Self {
        Self {
            account_id: verification.account_id,
            created_at: time(verification.created_at.as_ref()),
            verified_at: time(verification.verified_at.as_ref()),
            codes: Vec::from_iter(verification.codes.into_iter().map(Code::from)),
            history: Vec::from_iter(verification.history.into_iter().map(HistoryEntry::from)),
        }
    }
}

impl From<verification_proto::Code> for Code {
    fn from(code: verification_proto::Code) -> Self {
        Self {
            state: word(code.state().as_str_name(), "CODE_STATE_"),
            mail_state: word(code.mail_state().as_str_name(), "MAIL_STATE_"),
            created_at: time(code.created_at.as_ref()),
            expires_at: time(code.expires_at.as_ref()),
            next_attempt_at: time(code.next_attempt_at.as_ref()),
            code_id: code.code_id,
            number: code.number,
            wrong_guesses: code.wrong_guesses,
            mail_attempts: code.mail_attempts,
        }
    }
}

impl From<verification_proto::HistoryEntry> for HistoryEntry {
    fn from(entry: verification_proto::HistoryEntry) -> Self {
        Self {
            at: time(entry.at.as_ref()),
            code_id: entry.code_id,
            what: entry.what,
            detail: entry.detail,
        }
    }
}

/// RFC 3339; `None` where the field is absent or no time.
pub(crate) fn time(at: Option<&prost_types::Timestamp>) -> Option<String> {
    at.and_then(Timestamp::from_proto).map(|at| at.to_string())
}

/// `ACCOUNT_STATUS_PENDING` without what its field says already.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}
