//! What is known of the broker: how the connection is, what a look at it found, what became of the
//! newest publish and pull, how long events wait. `readyz`, `doctor` and commands tell it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{login::Login, sight::Sight};
use crate::serve::Degraded;

/// How old the oldest event in an outbox may get before that is told. A publish that is not
/// acknowledged fails after ten seconds, and says more.
const TOO_LONG: Duration = Duration::from_secs(20);

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
    /// Nothing before the first try.
    standing: Option<Standing>,
    sight: Option<Sight>,
    publish: Option<Degraded>,
    pull: Option<Degraded>,
    oldest: Duration,
    /// Since when messages are held that could not be stored.
    held: Option<Instant>,
}

impl State {
    pub(super) fn of(login: Login) -> Self {
        let known = Known {
            standing: None,
            sight: None,
            publish: None,
            pull: None,
            oldest: Duration::ZERO,
            held: None,
        };
        Self {
            login: Arc::new(login),
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Notes how the connection is now, and logs once what somebody has to mend.
    pub(super) fn is(&self, standing: &Standing) {
        let was = self.known().standing.replace(standing.clone());
        if was.as_ref() == Some(standing) {
            return;
        }
        match standing {
            Standing::Away => tracing::warn!("The broker is away; events wait in the outbox."),
            Standing::Refused | Standing::Unusable(_) => {
                if let Some(Degraded { reason, advice }) = self.trouble() {
                    tracing::error!(advice, "The broker {reason}.");
                }
            }
            Standing::Connected => {}
        }
    }

    /// Notes what a look found, and logs once what somebody has to mend.
    pub(super) fn sees(&self, sight: Option<Sight>) {
        let was = std::mem::replace(&mut self.known().sight, sight.clone());
        if let Some(sight) = sight.filter(|sight| was.as_ref() != Some(sight)) {
            let Degraded { reason, advice } = sight.told();
            tracing::error!(advice, "The broker {reason}.");
        }
    }

    pub(super) fn published(&self, failed: Option<Degraded>) {
        self.known().publish = failed;
    }

    pub(super) fn pulled(&self, failed: Option<Degraded>) {
        self.known().pull = failed;
    }

    /// How old the oldest event is that waits; nothing where none does.
    pub(super) fn waits(&self, oldest: Option<Duration>) {
        let mut known = self.known();
        known.oldest = oldest.unwrap_or_default();
        if oldest.is_none() {
            known.publish = None; // whatever failed has gone
        }
    }

    /// Whether messages are held because what becomes of them could not be stored.
    pub(super) fn holds(&self, any: bool) {
        let mut known = self.known();
        known.held = any.then(|| known.held.unwrap_or_else(Instant::now));
    }

    pub(super) fn is_connected(&self) -> bool {
        self.known().standing == Some(Standing::Connected)
    }

    pub(super) fn is_refused(&self) -> bool {
        let standing = &self.known().standing;
        matches!(standing, Some(Standing::Refused | Standing::Unusable(_)))
    }

    /// What comes first explains what comes after it.
    pub(super) fn trouble(&self) -> Option<Degraded> {
        let known = self.known();
        let standing = match &known.standing {
            None | Some(Standing::Away) => Some(Degraded::new(
                "is not connected; events wait in the outbox",
                "Bring nats-server back, or correct USHER_NATS_URL; nothing is lost meanwhile.",
            )),
            Some(Standing::Refused) => Some(Degraded::new(
                format!("refuses {}", self.login.described()),
                self.login.advice(),
            )),
            Some(Standing::Unusable(why)) => Some(Degraded::new(
                format!("gets no login: {}", why.trim_end_matches('.')),
                "Put the file right; it is read again within a second.",
            )),
            Some(Standing::Connected) => None,
        };
        let seen = || known.sight.as_ref().map(Sight::told);
        standing
            .or_else(seen)
            .or_else(|| known.publish.clone())
            .or_else(|| known.pull.clone())
    }

    /// Events that wait for too long, where nothing that is known of the broker explains it.
    pub(super) fn waits_too_long(&self) -> Option<Degraded> {
        let oldest = self.known().oldest;
        let is_unexplained = oldest > TOO_LONG && self.trouble().is_none();
        is_unexplained.then(|| {
            Degraded::new(
                format!("holds an event that has waited for {} s", oldest.as_secs()),
                "After an outage it drains by itself: look again in a minute. If it does not, look into the service's log.",
            )
        })
    }

    /// Messages that are held for too long.
    pub(super) fn holds_too_long(&self) -> Option<Degraded> {
        let held = self.known().held?.elapsed();
        (held > TOO_LONG).then(|| {
            Degraded::new(
                format!("has held events for {} s, because they cannot be stored", held.as_secs()),
                "The service's log says what its database refuses; once that is mended, they are handled by themselves.",
            )
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
