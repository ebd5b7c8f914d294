//! The JetStream streams: names, subjects and limits. `usher nats provision` makes them; services
//! make only their own durable consumers.

use std::time::Duration;

/// A stream as it should be. Limits retention, file storage and discard *new* hold for all of them:
/// a full stream refuses to publish, and the outbox keeps the event, instead of dropping unread
/// messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// As the broker and its tools call it.
    pub name: &'static str,
    /// What it captures.
    pub subjects: &'static [&'static str],
    /// Most bytes it holds.
    pub max_bytes: i64,
    /// Longest time it keeps a message.
    pub max_age: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIB: i64 = 1 << 30;

/// How long JetStream recognises a repeated `Nats-Msg-Id`.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// What accounts states.
pub const ACCOUNTS: Stream = Stream {
    name: "ACCOUNTS",
    subjects: &["accounts.v1.>"],
    max_bytes: GIB,
    max_age: DAY.saturating_mul(7),
};

/// What verification states.
pub const VERIFICATION: Stream = Stream {
    name: "VERIFICATION",
    subjects: &["verification.v1.>"],
    max_bytes: GIB,
    max_age: DAY.saturating_mul(7),
};

/// All of them, in the order in which they are made.
pub const ALL: [Stream; 2] = [ACCOUNTS, VERIFICATION];
