//! What a `look` at the broker may find in the way, and what to do about it.

use crate::serve::Degraded;

/// What keeps a broker that is connected from doing its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It runs without JetStream, or turned it off.
    NoJetStream,
    /// It does not answer as it should; why, in its own words.
    Silent(String),
    /// A stream is missing.
    Missing(&'static str),
    /// A stream is missing, and another one takes its subjects.
    Taken {
        /// Ours.
        stream: &'static str,
        /// The other one.
        by: String,
    },
}

impl Sight {
    /// In words, after "the broker".
    pub fn told(&self) -> Degraded {
        match self {
            Self::NoJetStream => Degraded::new(
                "has no JetStream",
                "Start nats-server with JetStream (`nats-server -js`). If it had one, its log says why it was turned off: \
                 free space where its store lies, then restart it.",
            ),
            Self::Silent(why) => Degraded::new(
                format!("does not answer for JetStream: {why}"),
                "Look into nats-server's log, and restart it.",
            ),
            Self::Missing(stream) => Degraded::new(
                format!("has no stream {stream}"),
                "`usher nats provision` makes it.",
            ),
            Self::Taken { stream, by } => Degraded::new(
                format!("has no stream {stream}, because stream {by} takes its subjects"),
                format!(
                    "Take them from that one (`nats stream edit {by}`, or `nats stream rm {by}`), then run \
                     `usher nats provision`; events wait meanwhile."
                ),
            ),
        }
    }

    /// Whether JetStream is dead: a restart may help.
    pub fn is_dead(&self) -> bool {
        matches!(self, Self::NoJetStream | Self::Silent(_))
    }
}
