//! How much waits in the outbox, as metrics: the relay writes the numbers down at each look at the table.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::telemetry::{self, names};

/// Events that wait, and the oldest one's age in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Arc<(AtomicU64, AtomicU64)>);

impl Backlog {
    /// A backlog that shows as `usher.outbox.pending` and `usher.outbox.age`.
    pub(super) fn measured() -> Self {
        let backlog = Self::default();
        let (number, age) = (backlog.clone(), backlog.clone());
        let meter = telemetry::meter();
        let _ = meter
            .u64_observable_gauge(names::USHER_OUTBOX_PENDING)
            .with_unit("{event}")
            .with_description("Outbox rows that wait to be published.")
            .with_callback(move |gauge| gauge.observe(number.0.0.load(Ordering::Relaxed), &[]))
            .build();
        let _ = meter
            .f64_observable_gauge(names::USHER_OUTBOX_AGE)
            .with_unit("s")
            .with_description("Age of the oldest outbox row that waits.")
            .with_callback(move |gauge| {
                let age = Duration::from_millis(age.0.1.load(Ordering::Relaxed));
                gauge.observe(age.as_secs_f64(), &[]);
            })
            .build();
        backlog
    }

    pub(super) fn set(&self, number: i64, age: Duration) {
        self.0
            .0
            .store(u64::try_from(number).unwrap_or(0), Ordering::Relaxed);
        self.0.1.store(
            u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}
