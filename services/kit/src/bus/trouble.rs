//! What is known of the broker: how the connection is. `readyz` and commands tell it.

use std::sync::{Arc, Mutex, PoisonError};

use super::login::Login;
use crate::serve::Degraded;

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Away,
    /// A server answers and does not take our login.
    Refused,
    /// The login cannot be made, for a reason that is a sentence.
    Unusable(String),
    Connected,
}

/// What is known. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct State {
    login: Arc<Login>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    standing: Standing,
}

impl State {
    pub(super) fn of(login: Login) -> Self {
        let known = Known {
            standing: Standing::Away,
        };
        Self {
            login: Arc::new(login),
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Notes how the connection is now, and logs once what somebody has to mend.
    pub(super) fn is(&self, standing: &Standing) {
        let was = std::mem::replace(&mut self.known().standing, standing.clone());
        if was != *standing
            && let Standing::Refused | Standing::Unusable(_) = standing
            && let Some(Degraded { reason, advice }) = self.trouble()
        {
            tracing::error!(advice, "The broker {reason}.");
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.known().standing == Standing::Connected
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(
            self.known().standing,
            Standing::Refused | Standing::Unusable(_)
        )
    }

    pub(super) fn trouble(&self) -> Option<Degraded> {
        let known = self.known();
        match &known.standing {
            Standing::Away => Some(Degraded::new(
                "is not connected; events wait in the outbox",
                "Bring nats-server back, or correct USHER_NATS_URL; nothing is lost meanwhile.",
            )),
            Standing::Refused => Some(Degraded::new(
                format!("refuses {}", self.login.described()),
                self.login.advice(),
            )),
            Standing::Unusable(why) => Some(Degraded::new(
                format!("gets no login: {}", why.trim_end_matches('.')),
                "Put the file right; it is read again within a second.",
            )),
            Standing::Connected => None,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
