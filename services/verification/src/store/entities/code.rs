//! Table `codes`: one row a code, its own outbox.

use kit::clock::Timestamp;
use sea_orm::entity::prelude::*;

/// One code. Its digits are derived, not stored.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "codes")]
pub(crate) struct Model {
    /// The key of its mail.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    /// Whose it is.
    pub(crate) account_id: Uuid,
    /// 1 for an account's first.
    pub(crate) number: i32,
    /// Grows with every change that a watcher sees.
    pub(crate) version: i64,
    /// The key it is derived from.
    pub(crate) key_id: String,
    /// How many digits it has.
    pub(crate) digits: i32,
    /// Makes equal ids under equal keys differ after a restore.
    pub(crate) salt: Vec<u8>,
    /// Whether it still confirms.
    pub(crate) state: CodeState,
    /// What became of its mail.
    pub(crate) mail_state: MailState,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it stops confirming.
    pub(crate) expires_at: Timestamp,
    /// Guesses counted against it.
    pub(crate) guesses: i32,
    /// Times the mailer answered that it had tried.
    pub(crate) mail_attempts: i32,
    /// Whether an attempt got as far as the mail server.
    pub(crate) mail_reached: bool,
    /// When the mail server took the mail, by the mailer's clock.
    pub(crate) accepted_at: Option<Timestamp>,
    /// When the mail is due.
    pub(crate) next_attempt_at: Timestamp,
    /// Counts the claims; who holds the highest may write failures.
    pub(crate) claim_no: i32,
    /// Until when the mail is claimed; 0 when it is not.
    pub(crate) lease_until: Timestamp,
    /// Trace context of what caused the code.
    pub(crate) traceparent: String,
    /// Trace state beside it.
    pub(crate) tracestate: String,
}

/// Whether a code still confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum CodeState {
    /// Until it expires.
    Live,
    /// It confirmed the account.
    Used,
    /// A newer one replaced it.
    Superseded,
    /// Wrong guesses ended it.
    Burnt,
}

/// What became of a code's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum MailState {
    /// To be delivered, or delivered again.
    Pending,
    /// The mail server took it.
    Accepted,
    /// The mail server refused the recipient.
    Rejected,
    /// Given up.
    Undelivered,
    /// The code ended first.
    Obsolete,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
