//! Waits for what cannot be awaited: the state of another process, seen only by asking.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `probe` until it answers, and returns the answer.
///
/// # Panics
/// When the deadline passes, with `what` was waited for.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        // After the probe: even one that takes longer than the deadline is heard once.
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for {what}"
        );
        sleep(INTERVAL).await;
    }
}
