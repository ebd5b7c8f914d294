//! The JetStream streams: names, subjects and limits. `usher nats provision` makes them; services make only
//! their own durable consumers.

use std::time::Duration;

/// A stream as it should be. Limits retention, file storage and discard *new* hold for all of them: a full
/// stream refuses to publish, and the outbox keeps the event, instead of dropping unread messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
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

/// Messages that no consumer can handle, under `dlq.<original subject>`.
pub const DEAD_LETTERS: Stream = Stream {
    name: "DEAD_LETTERS",
    subjects: &["dlq.>"],
    max_bytes: GIB / 4,
    max_age: DAY.saturating_mul(30),
};

/// JetStream's own notices that a message reached its consumer's `max_deliver`: captured, because they are
/// published at most once and the message they name would otherwise be silently given up.
pub const ADVISORIES: Stream = Stream {
    name: "ADVISORIES",
    subjects: &["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"],
    max_bytes: GIB / 16,
    max_age: DAY.saturating_mul(7),
};

/// All of them, in the order in which they are made.
pub const ALL: [Stream; 4] = [ACCOUNTS, VERIFICATION, DEAD_LETTERS, ADVISORIES];

/// Prefix of a dead letter's subject.
pub const DEAD_LETTER_PREFIX: &str = "dlq.";
