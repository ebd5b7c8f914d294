//! What a client hears of a mail that it offered: whichever step of a delivery ends it answers, and
//! `grpc` encodes that.

use std::time::Duration;

use kit::clock::Timestamp;

use super::Outcome;

/// What becomes of an offered mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How it ended, now or before; none while another attempt is under way.
    pub(crate) outcome: Option<Outcome>,
    /// Of an acceptance: when.
    pub(crate) accepted_at: Option<Timestamp>,
    /// Where another attempt is under way: after what time the mail is to be offered again.
    pub(crate) retry_after: Option<Duration>,
    /// All attempts so far whose outcome could not be learnt.
    pub(crate) unknown_attempts: u32,
    /// Whether an attempt got as far as the mail server, or may have.
    pub(crate) reached: bool,
    /// Why, redacted.
    pub(crate) reason: String,
}
