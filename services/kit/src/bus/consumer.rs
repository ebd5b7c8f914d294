//! The consumer loop: pull, hand to the handler, ack what it committed. A message is held for as long as its commit
//! takes and no longer; while it is held, in-progress acks keep the server from handing it to somebody else.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Bus, Delivery, Durable, Verdict,
    dead_letter::MaxDeliveries,
    durable::{Attached, attach},
    janitor::purge_read,
    measures::Measures,
    pull::pull,
    round::Round,
    trace,
};
use crate::clock::Clock;

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
        Self {
            ack_wait: Duration::from_secs(3),
            max_deliver: 10,
            batch: 256,
        }
    }
}

/// How often the stream is looked at for what everybody has read.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// A durable consumer with its loop.
#[derive(Debug, Clone)]
pub struct Consumer {
    pub(super) bus: Bus,
    pub(super) durable: Durable,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) measures: Measures,
}

impl Consumer {
    /// A consumer; nothing happens until it runs.
    pub fn new(bus: Bus, durable: Durable, settings: Settings, clock: Clock) -> Self {
        let measures = Measures::of(&durable);
        Self {
            bus,
            durable,
            settings,
            clock,
            measures,
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
            measures: Measures::of(&durable),
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
        // After a crash the server hands out again what this process held, once its AckWait is over. Until then, and
        // as long as such messages come, they are taken alone: the one that kills the process takes nobody along.
        let careful = self.settings.ack_wait + Duration::from_secs(1);
        let mut alone_until = None;
        let mut redelivered = false;
        let mut complained = false;
        let mut attached = None;
        while !stop.is_cancelled() {
            let Some(Attached {
                consumer,
                stream_created,
                has_unacked,
            }) = &attached
            else {
                attached = self.attach(&mut complained, stop).await;
                continue;
            };
            let alone_until = *alone_until.get_or_insert_with(|| {
                if *has_unacked {
                    Instant::now() + careful
                } else {
                    Instant::now()
                }
            });
            let most = if redelivered || Instant::now() < alone_until {
                1
            } else {
                self.settings.batch
            };
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
                    let now = self.clock.now();
                    batch
                        .iter_mut()
                        .for_each(|delivery| trace::begin(delivery, &self.durable, now));
                    redelivered = batch.iter().any(|delivery| delivery.delivered > 1);
                    let round = Round {
                        consumer: self,
                        stream_created,
                        stop,
                    };
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

    /// Says once why it does not succeed, and not at all while the broker is away: the bus tells of that.
    async fn attach(&self, complained: &mut bool, stop: &CancellationToken) -> Option<Attached> {
        let attached = attach(&self.bus, &self.durable, &self.settings);
        match stop.run_until_cancelled(attached).await? {
            Ok(attached) => {
                *complained = false;
                Some(attached)
            }
            Err(error) => {
                if self.bus.is_connected() && !std::mem::replace(complained, true) {
                    let (consumer, error) = (self.durable.name.as_str(), format!("{error:#}"));
                    tracing::warn!(
                        consumer,
                        error,
                        "Events cannot be read yet; trying again every second."
                    );
                }
                let _ = timeout(Duration::from_secs(1), stop.cancelled()).await;
                None
            }
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
