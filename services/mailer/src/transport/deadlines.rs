//! The patience of `connect` and `conversation`, phase by phase.

use std::time::Duration;

/// How long each phase may take (RFC 5321 §4.5.3.2 for the last three). They run on the real clock.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// TCP.
    pub connect: Duration,
    /// TLS handshake, with STARTTLS before it.
    pub tls: Duration,
    /// Greeting, EHLO and AUTH, each.
    pub greeting: Duration,
    /// MAIL, RCPT, DATA and RSET, each.
    pub command: Duration,
    /// Transfer of the message.
    pub data: Duration,
    /// The answer to the final dot.
    pub reply: Duration,
}
