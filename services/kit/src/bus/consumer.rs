//! The consumer loop: pull, hand to the handler, ack what it committed. A message is held for as long as its commit
//! takes and no longer; while it is held, in-progress acks keep the server from handing it to somebody else.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Bus,
    dead_letter::MaxDeliveries,
    delivery::{Delivery, Verdict},
    durable::{Attached, ConsumerSettings, Durable, attach},
    handling::Handling,
    janitor::purge_read,
    metrics::ConsumerMetrics,
    pull::pull,
    trace,
};
use crate::clock::Clock;

/// How often the stream is looked at for what everybody has read.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long it waits after it could not attach.
const AGAIN: Duration = Duration::from_secs(1);

/// A durable consumer with its loop.
#[derive(Debug, Clone)]
pub struct Consumer {
    bus: Bus,
    durable: Durable,
    settings: ConsumerSettings,
    clock: Clock,
    metrics: ConsumerMetrics,
}

impl Consumer {
    /// A consumer; nothing happens until it runs.
    pub fn new(bus: Bus, durable: Durable, settings: ConsumerSettings, clock: Clock) -> Self {
        let metrics = ConsumerMetrics::of(&durable);
        Self {
            bus,
            durable,
            settings,
            clock,
            metrics,
        }
    }

    /// Hands messages to `handler` until `stop`, whatever happens to the broker meanwhile. The handler answers each
    /// delivery, in their order. Returns once what it holds is settled or, where it is to be retried, let go.
    pub async fn run<F>(
        self,
        mut handler: impl FnMut(Arc<Vec<Delivery>>) -> F + Send,
        stop: CancellationToken,
    ) where
        F: Future<Output = Vec<Verdict>> + Send,
    {
        let durable = self.durable.advisories();
        let notices = Self {
            metrics: ConsumerMetrics::of(&durable),
            durable,
            ..self.clone()
        };
        let bus = self.bus.clone();
        let mut bury = move |batch: Arc<Vec<Delivery>>| bury(bus.clone(), batch);
        tokio::join!(
            self.consume(&mut handler, &stop),
            notices.consume(&mut bury, &stop),
            self.tidy(&stop)
        );
        self.bus.flush().await;
    }

    async fn tidy(&self, stop: &CancellationToken) {
        while timeout(TIDY_EVERY, stop.cancelled()).await.is_err() {
            if let Err(error) = purge_read(&self.bus, &self.durable).await {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "The stream was not tidied; the next round tries again."
                );
            }
        }
    }

    async fn consume<F>(
        &self,
        handler: &mut (impl FnMut(Arc<Vec<Delivery>>) -> F + Send),
        stop: &CancellationToken,
    ) where
        F: Future<Output = Vec<Verdict>> + Send,
    {
        let Some(mut attached) = self.attach(stop).await else {
            return;
        };
        let mut pace = Pace::after_a_start(&attached, &self.settings);
        while !stop.is_cancelled() {
            let most = pace.most(&self.settings);
            // A stop cuts the pull and never the handling: what was pulled is committed and acknowledged, or let go on
            // purpose. Whatever the cut pull may have been given comes again after AckWait.
            let pulled = tokio::select! {
                () = stop.cancelled() => return,
                pulled = pull(&attached.consumer, most) => pulled,
            };
            match pulled {
                Ok(batch) if !batch.is_empty() => {
                    self.handle(batch, &attached, &mut pace, handler, stop)
                        .await;
                    continue;
                }
                Ok(_) => self.metrics.idle(),
                Err(error) => {
                    let (consumer, error) = (self.durable.name.as_str(), format!("{error:#}"));
                    tracing::warn!(consumer, error, "A pull failed.");
                }
            }
            // Nothing to do, or it did not work: a moment to look whether this is still the same stream.
            let Some(again) = self.attach(stop).await else {
                return;
            };
            attached = again;
        }
    }

    async fn handle<F>(
        &self,
        mut batch: Vec<Delivery>,
        attached: &Attached,
        pace: &mut Pace,
        handler: &mut (impl FnMut(Arc<Vec<Delivery>>) -> F + Send),
        stop: &CancellationToken,
    ) where
        F: Future<Output = Vec<Verdict>> + Send,
    {
        self.metrics.pulled(&batch);
        let now = self.clock.now();
        for delivery in &mut batch {
            trace::begin(delivery, &self.durable, now);
        }
        pace.redelivered = batch.iter().any(|delivery| delivery.delivered > 1);
        let handling = Handling {
            bus: &self.bus,
            durable: &self.durable,
            stream_created: &attached.stream_created,
            period: self.settings.ack_wait / 3,
            clock: &self.clock,
            metrics: &self.metrics,
            stop,
        };
        handling.handle_all(batch, pace.redelivered, handler).await;
    }

    /// Attaches to the durable, however long that takes; nothing once it is to stop. Says once why it does not succeed,
    /// and not at all while the broker is away: the bus tells of that.
    async fn attach(&self, stop: &CancellationToken) -> Option<Attached> {
        let mut complained = false;
        loop {
            let attached = attach(&self.bus, &self.durable, &self.settings);
            let error = match stop.run_until_cancelled(attached).await? {
                Ok(attached) => return Some(attached),
                Err(error) => format!("{error:#}"),
            };
            if self.bus.is_connected() && !complained {
                complained = true;
                let consumer = self.durable.name.as_str();
                tracing::warn!(
                    consumer,
                    error,
                    "Events cannot be read yet; trying again every second."
                );
            }
            let _ = timeout(AGAIN, stop.cancelled()).await;
        }
    }
}

/// How many messages are taken at once. After a crash the server hands out again what this process held, once its
/// AckWait is over. Until then, and as long as such messages come, they are taken alone: the one that kills the process
/// takes nobody along. Where a start finds nothing unacknowledged, nothing can come again, and it need not be slow.
struct Pace {
    alone_until: Instant,
    redelivered: bool,
}

impl Pace {
    fn after_a_start(attached: &Attached, settings: &ConsumerSettings) -> Self {
        let careful = match attached.has_unacked {
            true => settings.ack_wait + Duration::from_secs(1),
            false => Duration::ZERO,
        };
        Self {
            alone_until: Instant::now() + careful,
            redelivered: false,
        }
    }

    fn most(&self, settings: &ConsumerSettings) -> usize {
        match self.redelivered || Instant::now() < self.alone_until {
            true => 1,
            false => settings.batch,
        }
    }
}

/// The handler of the notices: each makes the message that it names a dead letter.
async fn bury(bus: Bus, notices: Arc<Vec<Delivery>>) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(notices.len());
    for notice in notices.iter() {
        verdicts.push(match MaxDeliveries::parse(notice) {
            Err(verdict) => verdict,
            Ok(named) => match named.bury(&bus, notice.stored_at).await {
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
