//! What a consumer measures: how far it is behind, what came more than once, what it gave up.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::{KeyValue, metrics::Counter};

use super::{durable::Durable, held::HeldMessage};
use crate::telemetry::{self, names};

#[derive(Debug, Clone)]
pub(super) struct ConsumerMetrics {
    attributes: Arc<[KeyValue]>,
    lag: Arc<AtomicU64>,
    redeliveries: Counter<u64>,
    dead_letters: Counter<u64>,
}

impl ConsumerMetrics {
    pub(super) fn of(durable: &Durable) -> Self {
        let meter = telemetry::meter();
        let group = KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, durable.name.clone());
        let attributes: Arc<[KeyValue]> = [group].into();
        let lag = Arc::new(AtomicU64::new(0));
        let (observed, of) = (Arc::clone(&lag), Arc::clone(&attributes));
        let _ = meter
            .u64_observable_gauge(names::USHER_CONSUMER_LAG)
            .with_unit("{message}")
            .with_description(
                "Messages that wait in the stream behind the one that was pulled last.",
            )
            .with_callback(move |gauge| gauge.observe(observed.load(Ordering::Relaxed), &of))
            .build();
        let redeliveries = meter
            .u64_counter(names::USHER_CONSUMER_REDELIVERIES)
            .with_unit("{message}")
            .with_description("Messages that came more than once.")
            .build();
        let dead_letters = meter
            .u64_counter(names::USHER_DEAD_LETTERS)
            .with_unit("{message}")
            .with_description("Messages that became dead letters.")
            .build();
        Self {
            attributes,
            lag,
            redeliveries,
            dead_letters,
        }
    }

    pub(super) fn pulled(&self, batch: &[HeldMessage]) {
        if let Some(last) = batch.last() {
            self.lag.store(last.pending, Ordering::Relaxed);
        }
        let again = batch.iter().filter(|held| held.delivered > 1).count();
        if again > 0 {
            self.redeliveries.add(again as u64, &self.attributes);
        }
    }

    pub(super) fn idle(&self) {
        self.lag.store(0, Ordering::Relaxed);
    }

    pub(super) fn buried(&self) {
        self.dead_letters.add(1, &self.attributes);
    }
}
