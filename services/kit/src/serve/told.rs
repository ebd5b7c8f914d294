//! What people read of a service that is not ready, or degraded: what is wrong, since when, what it
//! means for those who sign up, and what to do. `health` finds it out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::db::{Db, Trouble};

/// What is wrong, since when, what it means for people who sign up, and what to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// What is wrong, as a sentence without its full stop.
    pub reason: String,
    /// Since when, RFC 3339.
    #[serde(default)]
    pub since: String,
    /// What it means for people who sign up, as sentences.
    #[serde(default)]
    pub means: String,
    /// What to do about it, as sentences.
    #[serde(default)]
    pub advice: String,
}

/// Why a service cannot use what it depends on, after its name: "broker" "is not connected". Work
/// waits meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// What is known of it.
    pub reason: String,
    /// What to do about it, as sentences.
    pub advice: String,
}

impl Degraded {
    /// A reason and what to do about it.
    pub fn new(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            advice: advice.into(),
        }
    }
}

/// Why a service is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    Draining,
    WorkerEnded(&'static str),
    WorkerStands(&'static str),
    Database(Trouble),
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => {
                f.write_str("it shuts down, and finishes what it has begun (draining)")
            }
            Self::WorkerEnded(name) => write!(f, "the worker `{name}` has ended"),
            Self::WorkerStands(name) => write!(f, "the worker `{name}` stands still"),
            Self::Database(trouble) => trouble.fmt(f),
        }
    }
}

impl NotReady {
    /// What to do about it.
    pub(super) fn advice(self, db: &Db) -> String {
        let advice = match self {
            Self::Draining => {
                "Wait until it has ended, ten seconds at most; then start it, if nobody else does."
            }
            Self::WorkerEnded(_) => {
                "The service ends now and is to be started again (`usher up` and Kubernetes do that); its log says why."
            }
            Self::WorkerStands(_) => {
                "Restart the service: it goes on where it was. Keep its log, because this should not happen."
            }
            Self::Database(trouble) => return db.advice(trouble),
        };
        advice.to_owned()
    }
}
