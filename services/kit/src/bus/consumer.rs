//! The consumer loop: pull, hand to the handler, ack what it committed. A message is held for as
//! long as its commit takes and no longer; while it is held, in-progress acks keep the server from
//! handing it to somebody else.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Bus,
    durable::{Attached, ConsumerSettings, Durable, attach},
    handler::Handler,
    handling::Handling,
    held::HeldMessage,
    housekeeping,
    janitor::purge_read,
    look,
    metrics::ConsumerMetrics,
    pull::Puller,
    trace,
};
use crate::{
    db::Db,
    fail_point,
    serve::{Degraded, beat},
    words,
};

/// How often what everybody has read is purged from the stream.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long it waits after it could not attach.
const AGAIN: Duration = Duration::from_secs(1);

/// A durable consumer with its loop.
#[derive(Debug, Clone)]
pub struct Consumer {
    bus: Bus,
    db: Db,
    durable: Durable,
    settings: ConsumerSettings,
    metrics: ConsumerMetrics,
}

impl Consumer {
    /// A consumer; nothing happens until it runs. Trials and dead letters are rows of `db`, which
    /// is the handler's.
    pub fn new(bus: Bus, db: Db, durable: Durable, settings: ConsumerSettings) -> Self {
        let metrics = ConsumerMetrics::of(&durable);
        Self {
            bus,
            db,
            durable,
            settings,
            metrics,
        }
    }

    /// Hands messages to `handler` until `stop`, whatever happens to the broker meanwhile. Returns
    /// once what it holds is settled or, where it is to be retried, let go.
    pub async fn run(self, handler: Handler, stop: CancellationToken) {
        tokio::join!(
            self.consume(&handler, &stop),
            self.tidy(&stop),
            housekeeping::run(&self.db, stop.clone()),
            look::run(&self.bus, &stop),
        );
        self.bus.flush().await;
    }

    async fn tidy(&self, stop: &CancellationToken) {
        while timeout(TIDY_EVERY, stop.cancelled()).await.is_err() {
            if let Err(error) = purge_read(&self.bus, &self.durable).await {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "The stream was not tidied; the next tick tries again."
                );
            }
        }
    }

    async fn consume(&self, handler: &Handler, stop: &CancellationToken) {
        let Some((mut attached, mut puller)) = self.attach(stop, None).await else {
            return;
        };
        let mut pace = Pace::after_a_start(&attached, &self.settings);
        let handling = Handling {
            db: &self.db,
            handler,
            trials: self.settings.trials,
            period: self.settings.ack_wait / 3,
            metrics: &self.metrics,
            state: &self.bus.state,
            stop,
        };
        while !stop.is_cancelled() {
            beat();
            let most = pace.most(&self.settings);
            // A stop cuts the pull and never the handling: what was pulled is committed and
            // acknowledged, or let go on purpose. Whatever the cut pull may have been given comes
            // again after AckWait.
            let pulled = tokio::select! {
                () = stop.cancelled() => return,
                pulled = puller.pull(&attached, most) => pulled,
            };
            self.bus.state.pulled(pulled.as_ref().err().map(no_events));
            match pulled {
                Ok(mut batch) if !batch.is_empty() => {
                    self.begin(&mut batch);
                    fail_point!("consumer/pulled");
                    pace.redelivered = batch.iter().any(|held| held.delivered > 1);
                    handling.handle_all(batch, pace.redelivered).await;
                    continue;
                }
                Ok(_) => self.metrics.idle(),
                Err(error) => {
                    let (consumer, error) = (self.durable.name.as_str(), words::of_chain(&error));
                    tracing::warn!(consumer, error, "A pull failed.");
                }
            }
            // Nothing to do, or it did not work: a moment to look whether this is still the same
            // stream.
            let Some(again) = self.attach(stop, Some(puller)).await else {
                return;
            };
            (attached, puller) = again;
        }
    }

    fn begin(&self, batch: &mut [HeldMessage]) {
        self.metrics.pulled(batch);
        let now = self.db.clock().now();
        for held in batch {
            trace::begin(&mut held.delivery, held.delivered, now);
        }
    }

    /// Attaches to the durable, however long that takes; nothing once it is to stop. Says once why
    /// it does not succeed, and not at all while the broker is away: the bus tells of that.
    async fn attach(
        &self,
        stop: &CancellationToken,
        mut puller: Option<Puller>,
    ) -> Option<(Attached, Puller)> {
        let mut complained = false;
        loop {
            beat();
            let ready = self.attach_once(&mut puller);
            let error = match stop.run_until_cancelled(ready).await? {
                Ok(attached) => return Some(attached),
                Err(error) => error,
            };
            self.bus.state.pulled(Some(no_events(&error)));
            let error = words::of_chain(&error);
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

    /// The durable, and the end at which its messages arrive: the same as before, unless the stream
    /// is another one.
    async fn attach_once(&self, puller: &mut Option<Puller>) -> anyhow::Result<(Attached, Puller)> {
        let attached = attach(&self.bus, &self.durable, &self.settings).await?;
        let puller = match puller.take() {
            Some(same) if *same.origin() == attached.origin => same,
            _ => Puller::new(&self.bus, &attached.origin).await?,
        };
        Ok((attached, puller))
    }
}

fn no_events(error: &anyhow::Error) -> Degraded {
    Degraded::new(
        format!("hands out no events: {}", words::of_chain(error)),
        "Events wait in their stream. Look into nats-server's log; `usher nats status` shows who has read how far.",
    )
}

/// How many messages are taken at once. After a crash the server hands out again what this process
/// held, once its AckWait is over. Until then, and as long as such messages come, they are taken
/// alone: the one that kills the process takes nobody along. Where a start finds nothing
/// unacknowledged, nothing can come again, and it need not be slow.
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
