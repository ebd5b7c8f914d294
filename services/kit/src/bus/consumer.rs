//! The consumer loop: pull, hand to the handler, ack what it committed. A message is held for as long as its commit
//! takes and no longer; while it is held, in-progress acks keep the server from handing it to somebody else.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use async_nats::jetstream::AckKind;
use futures::FutureExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Bus, Delivery, Durable, Verdict,
    dead_letter::{self, DeadLetter, MaxDeliveries, Source},
    durable::{Attached, attach},
    measures::Measures,
    pull::pull,
    trace,
};
use crate::{clock::Clock, random, telemetry::span};

/// A consumer's deadlines and sizes. Configuration, so that tests can shorten them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long the server waits for an ack or an in-progress ack before it hands a message out again.
    pub ack_wait: Duration,
    /// How often a message is handed out before it becomes a dead letter. Only crashes count: the loop never says no.
    pub max_deliver: i64,
    /// Most messages of one transaction.
    pub batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ack_wait: Duration::from_secs(3), max_deliver: 10, batch: 256 }
    }
}

/// A durable consumer with its loop.
#[derive(Debug, Clone)]
pub struct Consumer {
    bus: Bus,
    durable: Durable,
    settings: Settings,
    clock: Clock,
    measures: Measures,
}

impl Consumer {
    /// A consumer; nothing happens until it runs.
    pub fn new(bus: Bus, durable: Durable, settings: Settings, clock: Clock) -> Self {
        let measures = Measures::of(&durable);
        Self { bus, durable, settings, clock, measures }
    }

    /// Hands messages to `handler` until `stop`, whatever happens to the broker meanwhile. The handler answers each
    /// delivery, in their order. Returns once what it holds is settled or, where it is to be retried, let go.
    pub async fn run<F>(self, mut handler: impl FnMut(Arc<Vec<Delivery>>) -> F, stop: CancellationToken)
    where
        F: Future<Output = Vec<Verdict>>,
    {
        let durable = self.durable.advisories();
        let notices = Self { measures: Measures::of(&durable), durable, ..self.clone() };
        let mut bury = |batch: Arc<Vec<Delivery>>| bury(self.bus.clone(), self.clock.clone(), batch);
        tokio::join!(self.consume(&mut handler, &stop), notices.consume(&mut bury, &stop));
        self.bus.flush().await;
    }

    async fn consume<F>(&self, handler: &mut impl FnMut(Arc<Vec<Delivery>>) -> F, stop: &CancellationToken)
    where
        F: Future<Output = Vec<Verdict>>,
    {
        // After a crash the server hands out again what this process held, once its AckWait is over. Until then, and
        // as long as such messages come, they are taken alone: the one that kills the process takes nobody along.
        let alone_until = Instant::now() + self.settings.ack_wait + Duration::from_secs(1);
        let mut redelivered = false;
        let mut attached = None;
        while !stop.is_cancelled() {
            let Some(Attached { consumer, stream_created }) = &attached else {
                attached = self.attach(stop).await;
                continue;
            };
            let most = if redelivered || Instant::now() < alone_until { 1 } else { self.settings.batch };
            let pulled = tokio::select! {
                () = stop.cancelled() => break,
                pulled = pull(consumer, most) => pulled,
            };
            match pulled {
                Ok(batch) if batch.is_empty() => {
                    self.measures.idle();
                    attached = None; // nothing to do: a moment to look whether it is still the same stream
                }
                Ok(mut batch) => {
                    self.measures.pulled(&batch);
                    batch
                        .iter_mut()
                        .for_each(|delivery| trace::begin(delivery, &self.durable, self.clock.now()));
                    redelivered = batch.iter().any(|delivery| delivery.delivered > 1);
                    let round = Round { consumer: self, stream_created, stop };
                    round.handle_all(batch, redelivered, handler).await;
                }
                Err(error) => {
                    tracing::warn!(
                        consumer = self.durable.name,
                        error = format!("{error:#}"),
                        "A pull failed."
                    );
                    attached = None;
                }
            }
        }
    }

    async fn attach(&self, stop: &CancellationToken) -> Option<Attached> {
        match attach(&self.bus, &self.durable, &self.settings).await {
            Ok(attached) => Some(attached),
            Err(error) => {
                tracing::debug!(
                    consumer = self.durable.name,
                    error = format!("{error:#}"),
                    "Not attached yet."
                );
                let _ = timeout(Duration::from_secs(1), stop.cancelled()).await;
                None
            }
        }
    }
}

/// What settling needs to know of where the messages came from.
struct Round<'a> {
    consumer: &'a Consumer,
    stream_created: &'a str,
    stop: &'a CancellationToken,
}

impl Round<'_> {
    async fn handle_all<F>(
        &self,
        mut batch: Vec<Delivery>,
        redelivered: bool,
        handler: &mut impl FnMut(Arc<Vec<Delivery>>) -> F,
    ) where
        F: Future<Output = Vec<Verdict>>,
    {
        if !redelivered {
            return self.handle(batch, &[], handler).await;
        }
        batch.sort_by_cached_key(|_| u32::from_le_bytes(random::bytes()));
        while let Some(one) = batch.pop() {
            self.handle(vec![one], &batch, handler).await;
        }
    }

    /// Handles `batch` until each of it is settled, and keeps `waiting` from being handed out meanwhile.
    async fn handle<F>(
        &self,
        mut batch: Vec<Delivery>,
        waiting: &[Delivery],
        handler: &mut impl FnMut(Arc<Vec<Delivery>>) -> F,
    ) where
        F: Future<Output = Vec<Verdict>>,
    {
        loop {
            let shared = Arc::new(batch);
            let work = AssertUnwindSafe(handler(Arc::clone(&shared))).catch_unwind();
            let Ok(verdicts) = self.holding(&[&shared, waiting], work).await else {
                // Neither acked nor held: it comes again, alone, and counts towards `max_deliver`.
                tracing::error!(consumer = self.consumer.durable.name, "The handler panicked.");
                shared.iter().for_each(|delivery| span::fail(&delivery.context, "panic"));
                return;
            };
            let mut pause = Duration::ZERO;
            batch = Vec::new();
            for (delivery, verdict) in shared.iter().zip(verdicts) {
                if let Some(wait) = self.settle(delivery, verdict).await {
                    pause = pause.max(wait);
                    batch.push(delivery.clone());
                }
            }
            if batch.is_empty() {
                return;
            }
            let stopped = self.holding(&[&batch, waiting], timeout(pause, self.stop.cancelled())).await;
            if stopped.is_ok() {
                batch.iter().for_each(|delivery| span::fail(&delivery.context, "let_go"));
                return; // the next process gets it after AckWait
            }
        }
    }

    /// Does as the verdict says. Returns how long to wait where the message is to be handled again.
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Option<Duration> {
        let settled = match verdict {
            Verdict::Retry(wait) => return Some(wait),
            Verdict::Ack => {
                span::end(&delivery.context);
                delivery.message.ack().await
            }
            Verdict::Reject(reason) => match self.bury(delivery, reason).await {
                Ok(()) => {
                    self.consumer.measures.buried();
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
        if let Err(error) = settled {
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
            last_at: self.consumer.clock.now(),
            source: Source {
                stream: self.consumer.durable.stream.name,
                stream_created: self.stream_created,
                durable: &self.consumer.durable.name,
                sequence: delivery.stream_sequence,
            },
        };
        dead_letter::publish(&self.consumer.bus, letter).await
    }

    /// Awaits `work` and tells the server every third of AckWait that the messages are still being worked on.
    async fn holding<T>(&self, held: &[&[Delivery]], work: impl Future<Output = T>) -> T {
        let period = self.consumer.settings.ack_wait / 3;
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    for delivery in held.iter().copied().flatten() {
                        let _ = delivery.message.ack_with(AckKind::Progress).await; // the next tick tries again
                    }
                }
            }
        }
    }
}

/// The handler of the notices: each makes the message that it names a dead letter.
async fn bury(bus: Bus, clock: Clock, notices: Arc<Vec<Delivery>>) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(notices.len());
    for notice in notices.iter() {
        verdicts.push(match MaxDeliveries::parse(notice) {
            Err(verdict) => verdict,
            Ok(notice) => match notice.bury(&bus, clock.now()).await {
                Ok(()) => Verdict::Ack,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "A given-up message is not yet a dead letter."
                    );
                    Verdict::Retry(Duration::from_secs(1))
                }
            },
        });
    }
    verdicts
}
