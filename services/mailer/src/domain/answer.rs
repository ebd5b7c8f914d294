//! What a client hears of a mail that it offered: `commands` answer, `grpc` encodes it.

use std::time::Duration;

use kit::clock::Timestamp;

/// What becomes of an offered mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
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
    /// The mail server took it, now or before.
    Accepted(Option<Timestamp>),
    /// The mail server refused the recipient for good.
    Rejected,
    /// It cannot be made, or its key is another mail's.
    Invalid,
    /// Not this time; another attempt may succeed.
    Unavailable,
    /// The answer to the final dot was lost: it may have been accepted.
    Unknown,
    /// Another attempt is under way: to be offered again after that time.
    InFlight(Duration),
}
