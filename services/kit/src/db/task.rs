//! Work that its caller cannot undo by going away.

use std::sync::Arc;

use opentelemetry::{Context, context::FutureExt as _};
use tokio::sync::Semaphore;

/// Runs `work` in a task of its own, under the caller's trace context: for what must come to its
/// end once it is begun.
///
/// # Panics
/// When the task panicked: its panic goes on here.
pub async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    // tonic drops a call's future when its caller goes away, at whichever await that is: between a
    // commit and what has to follow it, too. A transaction alone needs no task: it rolls back.
    let task = tokio::spawn(work.with_context(Context::current()));
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The same within `room`: `None` when there is no place left. Whoever asks and goes away at once
/// would otherwise leave behind as many tasks as it likes.
pub async fn detached_within<T: Send + 'static>(
    room: &Arc<Semaphore>,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let place = Arc::clone(room).try_acquire_owned().ok()?;
    let work = async move {
        let result = work.await;
        drop(place);
        result
    };
    Some(detached(work).await)
}
