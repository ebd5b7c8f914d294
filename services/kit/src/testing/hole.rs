//! A hole in the network, and how long each worker takes to go on when it is over.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use tokio::time::{sleep_until, timeout};

use super::{Proxy, eventually};

/// How long a worker may take to go on.
const GOES_ON: Duration = Duration::from_secs(5);

/// The moment at which a hole ended.
#[derive(Debug, Clone, Copy)]
pub struct Healed(Instant);

impl Healed {
    /// Lets `proxy` swallow everything for `length`; `meanwhile` must come to its end in that time.
    ///
    /// # Panics
    /// When it does not.
    pub async fn after(
        proxy: &Proxy,
        length: Duration,
        meanwhile: impl Future<Output = ()>,
    ) -> Self {
        let end = tokio::time::Instant::now() + length;
        proxy.hole();
        let done = timeout(length, meanwhile).await;
        done.expect("what happens in the hole ends in the hole");
        // As long as it was said, however soon the rest was done: what is tested are deadlines.
        sleep_until(end).await;
        proxy.pass();
        Self(Instant::now())
    }

    /// Waits until `worker` goes on, and says on standard error how long it took: also of a test
    /// that passes.
    ///
    /// # Panics
    /// When it takes more than five seconds.
    pub async fn goes_on<T>(&self, worker: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
        let left = GOES_ON.saturating_sub(self.0.elapsed());
        let what = format!("{worker} to go on after the hole");
        let answer = eventually(&what, left, probe).await;
        let took = self.0.elapsed();
        let _ = writeln!(io::stderr(), "{worker} went on after {took:.1?}");
        answer
    }
}
