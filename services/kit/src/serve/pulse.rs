//! Whether workers go on: each turn of a worker's loop is a beat, and one that has not beaten for
//! longer than any turn takes stands still. Its task alone knows its pulse: whoever loops deep
//! inside a worker beats for it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Longer than whatever a worker waits for: a transaction ends after eight seconds, a pull after
/// fifteen.
const STANDS_STILL: Duration = Duration::from_secs(25);

tokio::task_local! {
    static OWN: Pulse;
}

/// Says that the worker whose task this is has come so far; nothing elsewhere.
pub fn beat() {
    let _ = OWN.try_with(|own| *own.last() = Some(Instant::now()));
}

/// One worker's. Clones share it.
#[derive(Debug, Clone)]
struct Pulse {
    worker: &'static str,
    /// Nothing until the first beat: a worker that only waits for something has none to give.
    last: Arc<Mutex<Option<Instant>>>,
    has_ended: Arc<AtomicBool>,
}

impl Pulse {
    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands_still(&self) -> bool {
        let is_old = self.last().is_some_and(|at| at.elapsed() > STANDS_STILL);
        is_old && !self.has_ended.load(Ordering::Relaxed)
    }
}

/// Those of all workers. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulses(Arc<Mutex<Vec<Pulse>>>);

impl Pulses {
    /// A worker's work with its pulse.
    pub(super) fn feel(
        &self,
        worker: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let pulse = Pulse {
            worker,
            last: Arc::default(),
            has_ended: Arc::default(),
        };
        let ended = Arc::clone(&pulse.has_ended);
        self.all().push(pulse.clone());
        OWN.scope(pulse, async move {
            work.await;
            ended.store(true, Ordering::Relaxed);
        })
    }

    /// A worker that stands still.
    pub(super) fn still(&self) -> Option<&'static str> {
        let all = self.all();
        let still = all.iter().find(|pulse| pulse.stands_still());
        still.map(|pulse| pulse.worker)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Pulse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
