//! How much waits in the outbox, as metrics: the relay writes the numbers down at each poll of the
//! table.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::telemetry::{self, names};

/// `usher.outbox.pending` and `usher.outbox.age`.
#[derive(Debug, Clone, Default)]
pub(super) struct RelayMetrics {
    pending: Arc<AtomicU64>,
    age_millis: Arc<AtomicU64>,
}

impl RelayMetrics {
    pub(super) fn new() -> Self {
        let metrics = Self::default();
        let (pending, age) = (
            Arc::clone(&metrics.pending),
            Arc::clone(&metrics.age_millis),
        );
        let meter = telemetry::meter();
        let _ = meter
            .u64_observable_gauge(names::USHER_OUTBOX_PENDING)
            .with_unit("{event}")
            .with_description("Outbox rows that wait to be published, counted to 10,000.")
            .with_callback(move |gauge| gauge.observe(pending.load(Ordering::Relaxed), &[]))
            .build();
        let _ = meter
            .f64_observable_gauge(names::USHER_OUTBOX_AGE)
            .with_unit("s")
            .with_description("Age of the oldest outbox row that waits.")
            .with_callback(move |gauge| {
                let age = Duration::from_millis(age.load(Ordering::Relaxed));
                gauge.observe(age.as_secs_f64(), &[]);
            })
            .build();
        metrics
    }

    pub(super) fn waiting(&self, events: usize, oldest: Duration) {
        let (events, millis) = (u64::try_from(events), u64::try_from(oldest.as_millis()));
        self.pending
            .store(events.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.age_millis
            .store(millis.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
