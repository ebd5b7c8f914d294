//! What was pulled is handed to the handler, held meanwhile, and acknowledged as the handler's verdicts say.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use async_nats::jetstream::AckKind;
use futures::FutureExt as _;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Bus,
    dead_letter::{self, DeadLetter, Source},
    delivery::{Delivery, Verdict},
    durable::Durable,
    metrics::ConsumerMetrics,
};
use crate::{clock::Clock, random, telemetry::span};

/// What handling needs to know of where the messages came from.
pub(super) struct Handling<'a> {
    pub(super) bus: &'a Bus,
    pub(super) durable: &'a Durable,
    pub(super) stream_created: &'a str,
    /// How often the server is told that a message is still being worked on.
    pub(super) period: Duration,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a ConsumerMetrics,
    pub(super) stop: &'a CancellationToken,
}

impl Handling<'_> {
    /// Handles what was pulled until each message is settled: together, or, where one of them came before, alone, in
    /// random order, each settled before the next.
    pub(super) async fn handle_all<F>(
        &self,
        mut batch: Vec<Delivery>,
        redelivered: bool,
        handler: &mut (impl FnMut(Arc<Vec<Delivery>>) -> F + Send),
    ) where
        F: Future<Output = Vec<Verdict>> + Send,
    {
        // One clock for all of it: pauses and handlers that are each shorter than its period add up.
        let mut ticks = interval_at(Instant::now() + self.period, self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if !redelivered {
            return self.handle(batch, &[], handler, &mut ticks).await;
        }
        batch.sort_by_cached_key(|_| u32::from_le_bytes(random::bytes()));
        while let Some(one) = batch.pop() {
            self.handle(vec![one], &batch, handler, &mut ticks).await;
        }
    }

    /// Handles `batch` until each of it is settled, and keeps `waiting` from being handed out meanwhile.
    async fn handle<F>(
        &self,
        mut batch: Vec<Delivery>,
        waiting: &[Delivery],
        handler: &mut (impl FnMut(Arc<Vec<Delivery>>) -> F + Send),
        ticks: &mut Interval,
    ) where
        F: Future<Output = Vec<Verdict>> + Send,
    {
        loop {
            let shared = Arc::new(batch);
            let work =
                AssertUnwindSafe(async { handler(Arc::clone(&shared)).await }).catch_unwind();
            let Ok(verdicts) = holding([&shared, waiting], work, ticks).await else {
                // Neither acked nor held: it comes again, alone, and counts towards `max_deliver`.
                tracing::error!(consumer = self.durable.name, "The handler panicked.");
                shared
                    .iter()
                    .for_each(|delivery| span::fail(&delivery.context, "panic"));
                return;
            };
            let mut pause = Duration::ZERO;
            batch = Vec::new();
            for (delivery, verdict) in shared.iter().zip(verdicts) {
                if let Some(wait) = self.acknowledge(delivery, verdict).await {
                    pause = pause.max(wait);
                    batch.push(delivery.clone());
                }
            }
            if batch.is_empty() {
                return;
            }
            let pause = timeout(pause, self.stop.cancelled());
            if holding([&batch, waiting], pause, ticks).await.is_ok() {
                batch
                    .iter()
                    .for_each(|delivery| span::fail(&delivery.context, "let_go"));
                return; // the next process gets it after AckWait
            }
        }
    }

    /// Does as the verdict says. Returns how long to wait where the message is to be handled again.
    async fn acknowledge(&self, delivery: &Delivery, verdict: Verdict) -> Option<Duration> {
        let acknowledged = match verdict {
            Verdict::Retry(wait) => return Some(wait),
            Verdict::Ack => {
                span::end(&delivery.context);
                delivery.message.ack().await
            }
            Verdict::Reject(reason) => match self.bury(delivery, reason).await {
                Ok(()) => {
                    self.metrics.buried();
                    span::fail(&delivery.context, reason);
                    delivery.message.ack_with(AckKind::Term).await
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "A dead letter could not be stored; held back."
                    );
                    return Some(Duration::from_secs(1));
                }
            },
        };
        if let Err(error) = acknowledged {
            tracing::warn!(error = %error, "An ack was not sent; the message comes again, without effect.");
        }
        None
    }

    async fn bury(&self, delivery: &Delivery, reason: &str) -> anyhow::Result<()> {
        let letter = DeadLetter {
            subject: delivery.subject(),
            headers: delivery.headers(),
            payload: delivery.payload(),
            reason,
            attempts: delivery.delivered,
            first_at: delivery.stored_at,
            last_at: self.clock.now(),
            source: Source {
                stream: self.durable.stream.name,
                stream_created: self.stream_created,
                durable: &self.durable.name,
                sequence: delivery.stream_sequence,
            },
        };
        dead_letter::publish(self.bus, letter).await
    }
}

/// Awaits `work` and tells the server at each tick that the messages are still being worked on.
async fn holding<T>(
    held: [&[Delivery]; 2],
    work: impl Future<Output = T>,
    ticks: &mut Interval,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = ticks.tick() => {
                for delivery in held.into_iter().flatten() {
                    let _ = delivery.message.ack_with(AckKind::Progress).await; // the next tick tries again
                }
            }
        }
    }
}
