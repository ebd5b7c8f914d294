//! The mailer's instruments: made once at start, recorded into by `commands::deliver` and
//! `admission`.

use std::time::Duration;

use kit::telemetry::{self, names};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};

use crate::store::Outcome;

/// The instruments. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    attempts: Counter<u64>,
    sending: Histogram<f64>,
    circuit: Gauge<u64>,
}

impl Metrics {
    /// Makes them; `telemetry::init` must have run for them to record anything.
    pub(crate) fn new() -> Self {
        let meter = telemetry::meter();
        let attempts = meter
            .u64_counter(names::USHER_MAIL_ATTEMPTS)
            .with_unit("{attempt}");
        let circuit = meter.u64_gauge(names::USHER_CIRCUIT_OPEN);
        let metrics = Self {
            attempts: attempts
                .with_description("Attempts to send a mail, by outcome.")
                .build(),
            sending: telemetry::durations(
                names::USHER_SMTP_DURATION,
                "One mail's conversation with the mail server.",
            ),
            circuit: circuit
                .with_description("1 while the mail server cannot be used.")
                .build(),
        };
        metrics.circuit_open(false);
        metrics
    }

    /// Counts an attempt that has ended.
    pub(crate) fn attempt(&self, outcome: Outcome, took: Duration) {
        let outcome = [KeyValue::new(names::USHER_MAIL_OUTCOME, outcome.word())];
        self.attempts.add(1, &outcome);
        self.sending.record(took.as_secs_f64(), &outcome);
    }

    /// Shows the circuit.
    pub(crate) fn circuit_open(&self, open: bool) {
        self.circuit.record(u64::from(open), &[]);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
