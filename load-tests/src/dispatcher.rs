//! How accounts of a system hands the news of an account on: as its callers and operators know it.

use clap::ValueEnum;
use serde::Serialize;

/// What `USHER_DISPATCHER` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dispatcher {
    /// Calls verification and waits for the mail, as its caller does
    Inline,
    /// Calls verification from a queue in memory
    Background,
    /// By the outbox and the broker
    Jetstream,
}

impl Dispatcher {
    /// As it is written in `USHER_DISPATCHER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Background => "background",
            Self::Jetstream => "jetstream",
        }
    }

    /// Whether a crash may lose the news of an account.
    pub(crate) fn is_forgetful(self) -> bool {
        self != Self::Jetstream
    }
}
