//! How much waits in the outbox: counted beside the relay, shown as metrics, told to the bus.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::DbErr;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::table;
use crate::{
    bus::Bus,
    db::Db,
    telemetry::{self, names},
};

/// How many waiting rows are counted. Beyond it a count would take longer the more there are, and
/// say nothing new.
const COUNTED: u64 = 10_000;

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

/// Counts what waits, each `tick`, until `stop`.
pub(super) async fn count(
    db: &Db,
    bus: &Bus,
    metrics: &RelayMetrics,
    tick: Duration,
    stop: &CancellationToken,
) {
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let counted = async {
            let reader = db.reader();
            let (events, oldest) = table::waiting(reader, COUNTED).await?;
            let now = db.now(reader).await?;
            Ok::<_, DbErr>((events, oldest.map(|oldest| now.since(oldest))))
        };
        // While the database is away the last count stands; whoever needs it complains by itself.
        if let Some(Ok((events, age))) = stop.run_until_cancelled(counted).await {
            metrics.waiting(events, age.unwrap_or_default());
            bus.waits(age);
        }
    }
}
