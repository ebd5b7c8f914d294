//! Transactions have an end, and a duration that is measured.

use std::{
    future::Future,
    sync::LazyLock,
    time::{Duration, Instant},
};

use opentelemetry::{Context, KeyValue, context::FutureExt as _, metrics::Histogram};
use sea_orm::{ConnAcquireErr, DbErr};
use tokio::time::timeout;

use crate::telemetry::{self, names};

/// How long a transaction may take. Longer than any lock is waited for: beyond it the connection is dead, and nothing
/// else would tell, because a peer that vanished without a word shows only after TCP's own quarter of an hour.
pub const LIMIT: Duration = Duration::from_secs(8);

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    telemetry::durations(
        names::DB_CLIENT_OPERATION_DURATION,
        "From a transaction's begin to its end.",
    )
});

/// Awaits `transaction`, but no longer than `LIMIT`; then the database counts as away.
///
/// # Errors
/// The transaction's own, or that time is over.
pub async fn within_limit<T>(
    transaction: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let lost = |_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
    measured("background", timeout(LIMIT, transaction))
        .await
        .unwrap_or_else(lost)
}

/// Runs a transaction in a task of its own, under the caller's trace context. A cancelled caller then cannot cut
/// it: sqlx leaves a connection with an open transaction behind when `begin` is cancelled.
///
/// # Panics
/// When the task panicked: its panic goes on here.
pub async fn detached<T: Send + 'static>(
    transaction: impl Future<Output = T> + Send + 'static,
) -> T {
    let task = tokio::spawn(transaction.with_context(Context::current()));
    match task.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Measures a transaction under the name of what it does.
pub async fn measured<T>(operation: &'static str, transaction: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = transaction.await;
    DURATION.record(
        begun.elapsed().as_secs_f64(),
        &[KeyValue::new(names::DB_OPERATION_NAME, operation)],
    );
    result
}
