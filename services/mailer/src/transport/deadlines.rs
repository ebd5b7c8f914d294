//! The patience of `connect` and `conversation`, phase by phase.

use std::time::Duration;

/// How long each phase may take (RFC 5321 §4.5.3.2 for the last three). They run on the real clock.
#[derive(Debug, Clone)]
pub(crate) struct Deadlines {
    /// TCP.
    pub(crate) connect: Duration,
    /// TLS handshake, with STARTTLS before it.
    pub(crate) tls: Duration,
    /// Greeting, EHLO and AUTH, each.
    pub(crate) greeting: Duration,
    /// MAIL, RCPT, DATA and RSET, each.
    pub(crate) command: Duration,
    /// Transfer of the message.
    pub(crate) data: Duration,
    /// The answer to the final dot.
    pub(crate) reply: Duration,
}
