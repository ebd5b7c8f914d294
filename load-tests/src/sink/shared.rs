//! What all conversations of the sink share: the moods, what was tried, what was accepted.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    mail::Accepted,
    mood::{Mood, Moods},
};

#[derive(Debug)]
pub(super) struct Shared {
    moods: Moods,
    /// The end of all moods.
    pub(super) healed: CancellationToken,
    /// The end of the sink.
    pub(super) gone: CancellationToken,
    attempts: Mutex<HashMap<String, u32>>,
    accepted: Mutex<Vec<Accepted>>,
    wait: Mutex<Duration>,
    moods_met: Mutex<BTreeMap<Mood, u64>>,
}

impl Shared {
    pub(super) fn new(moods: Moods) -> Self {
        Self {
            moods,
            healed: CancellationToken::new(),
            gone: CancellationToken::new(),
            attempts: Mutex::default(),
            accepted: Mutex::default(),
            wait: Mutex::default(),
            moods_met: Mutex::default(),
        }
    }

    /// What the next attempt at a mail to this recipient meets.
    pub(super) fn mood(&self, recipient: &str) -> Option<Mood> {
        // Counted even when no mood is met: the third attempt must be known as the third.
        let attempt = {
            let mut attempts = locked(&self.attempts);
            let attempt = attempts.entry(recipient.to_owned()).or_default();
            *attempt += 1;
            *attempt
        };
        if self.healed.is_cancelled() {
            return None;
        }
        let mood = self.moods.of(recipient, attempt)?;
        *locked(&self.moods_met).entry(mood).or_default() += 1;
        Some(mood)
    }

    /// What the answer to a final dot takes.
    pub(super) fn wait(&self) -> Duration {
        *locked(&self.wait)
    }

    pub(super) fn set_wait(&self, wait: Duration) {
        *locked(&self.wait) = wait;
    }

    pub(super) fn accepted(&self) -> MutexGuard<'_, Vec<Accepted>> {
        locked(&self.accepted)
    }

    pub(super) fn moods_met(&self) -> MutexGuard<'_, BTreeMap<Mood, u64>> {
        locked(&self.moods_met)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while one was held leaves a list that is still whole: each change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
