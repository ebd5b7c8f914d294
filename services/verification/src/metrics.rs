//! What is measured of mails: attempts by outcome, the time from an account's commit to its mail's
//! acceptance, and how much is due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kit::telemetry::{self, names};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::domain::Outcome;

/// The instruments. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    attempts: Counter<u64>,
    commit_to_accepted: Histogram<f64>,
    /// Mails that are due, and how long the oldest has been, in milliseconds.
    due: Arc<(AtomicU64, AtomicU64)>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = telemetry::meter();
        let due = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (number, age) = (Arc::clone(&due), Arc::clone(&due));
        let _ = meter
            .u64_observable_gauge(names::USHER_MAILS_DUE)
            .with_unit("{mail}")
            .with_description("Mails whose time has come.")
            .with_callback(move |gauge| gauge.observe(number.0.load(Ordering::Relaxed), &[]))
            .build();
        let _ = meter
            .f64_observable_gauge(names::USHER_MAILS_AGE)
            .with_unit("s")
            .with_description("How long the mail that waits longest has been due.")
            .with_callback(move |gauge| {
                let age = Duration::from_millis(age.1.load(Ordering::Relaxed));
                gauge.observe(age.as_secs_f64(), &[]);
            })
            .build();
        let attempts = meter
            .u64_counter(names::USHER_MAIL_ATTEMPTS)
            .with_unit("{attempt}")
            .with_description("Attempts to send a mail, by outcome.")
            .build();
        let commit_to_accepted = telemetry::durations(
            names::USHER_COMMIT_TO_ACCEPTED,
            "From the account's commit to the mail server's acceptance.",
        );
        Self {
            attempts,
            commit_to_accepted,
            due,
        }
    }

    pub(crate) fn attempt(&self, outcome: Outcome) {
        let outcome = KeyValue::new(names::USHER_MAIL_OUTCOME, outcome.word());
        self.attempts.add(1, &[outcome]);
    }

    pub(crate) fn accepted(&self, after: Duration) {
        self.commit_to_accepted.record(after.as_secs_f64(), &[]);
    }

    pub(crate) fn due(&self, number: usize, age: Duration) {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.due
            .0
            .store(u64::try_from(number).unwrap_or(0), Ordering::Relaxed);
        self.due.1.store(age, Ordering::Relaxed);
    }
}
