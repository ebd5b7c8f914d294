//! What was pulled is handed to the handler, held meanwhile, and acknowledged once its verdict is
//! committed. A message that came before is handled alone, under a trial that is committed first.

use std::{sync::Arc, time::Duration};

use sea_orm::DbErr;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Delivery, Left, Reason},
    handler::Handler,
    held::HeldMessage,
    metrics::ConsumerMetrics,
    origin::Source,
    settle::{Settled, Verdict, bury},
    trials,
    trouble::State,
};
use crate::{
    db::{Db, StoreError},
    fail_point, random,
    serve::beat,
    telemetry::span,
};

/// How long it waits before it asks a database again that is away.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a stop may take to say that it was one.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The reason of a message whose handling was begun too often and never came to its end.
const TOO_MANY_TRIALS: Reason = "too_many_trials";

/// What handling needs to know of where the messages came from, and where verdicts go.
pub(super) struct Handling<'a> {
    pub(super) db: &'a Db,
    pub(super) handler: &'a Handler,
    /// The trial that makes a message a dead letter.
    pub(super) trials: i32,
    /// How often the server is told that a message is still being worked on.
    pub(super) period: Duration,
    pub(super) metrics: &'a ConsumerMetrics,
    pub(super) state: &'a State,
    pub(super) stop: &'a CancellationToken,
}

impl Handling<'_> {
    /// Handles what was pulled until each message is settled or, because of a stop, let go:
    /// together, or, where one of them came before, alone, in random order, each settled before the
    /// next.
    pub(super) async fn handle_all(&self, mut batch: Vec<HeldMessage>, redelivered: bool) {
        // One clock for all of it: pauses and handlers that are each shorter than its period add
        // up.
        let mut ticks = interval_at(Instant::now() + self.period, self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if !redelivered {
            return self.handle(batch, &[], &mut ticks).await;
        }
        batch.sort_by_cached_key(|_| u32::from_le_bytes(random::bytes()));
        while let Some(mut held) = batch.pop() {
            if held.delivered > 1 && !self.begin_trial(&mut held, &batch, &mut ticks).await {
                continue;
            }
            self.handle(vec![held], &batch, &mut ticks).await;
        }
    }

    /// Commits that a trial begins, however long the database is away, and says whether it does:
    /// not for a message whose trials are used up, which becomes a dead letter, and not once there
    /// is a stop.
    async fn begin_trial(
        &self,
        message: &mut HeldMessage,
        waiting: &[HeldMessage],
        ticks: &mut Interval,
    ) -> bool {
        let held = [std::slice::from_ref(message), waiting];
        let source = &message.delivery.source;
        let counted = || count_trial(self.db, source);
        let Some(count) = self.until_stored(&held, ticks, counted).await else {
            return false;
        };
        fail_point!("consumer/trial_begun");
        message.delivery.left = Left::Trial;
        // The first handling was none that came again, and this one has not begun.
        message.delivery.attempts = count;
        if count < self.trials {
            message.delivery.attempts += 1;
            return true;
        }
        let held = [std::slice::from_ref(message), waiting];
        let buried = || bury(self.db, &message.delivery, TOO_MANY_TRIALS);
        if let Some(settled) = self.until_stored(&held, ticks, buried).await {
            self.acknowledge(message, settled).await;
        }
        false
    }

    /// Handles `batch` until each of it is settled, and keeps `waiting` from being handed out
    /// meanwhile.
    async fn handle(
        &self,
        mut batch: Vec<HeldMessage>,
        waiting: &[HeldMessage],
        ticks: &mut Interval,
    ) {
        loop {
            beat();
            let deliveries = batch.iter().map(|held| held.delivery.clone()).collect();
            let handled = self.handler.handle(Arc::new(deliveries));
            let Some(verdicts) = holding(&[&batch, waiting], handled, ticks).await else {
                // Neither acked nor held: it comes again, alone, and its trial stays counted.
                tracing::error!("The handler of events panicked.");
                for held in &batch {
                    span::fail(&held.delivery.context, "panic");
                }
                return;
            };
            let (mut pause, mut again) = (Duration::ZERO, Vec::new());
            let (mut refused, mut reasons) = (Vec::new(), Vec::new());
            for (held, verdict) in batch.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Settled(settled) => self.acknowledge(&held, settled).await,
                    Verdict::Retry(wait) => {
                        pause = pause.max(wait);
                        again.push(held);
                    }
                    Verdict::Reject(reason) => {
                        refused.push(held);
                        reasons.push(reason);
                    }
                }
            }
            while let (Some(held), Some(reason)) = (refused.last(), reasons.pop()) {
                beat();
                let buried = bury(self.db, &held.delivery, reason);
                match holding(&[&again, &refused, waiting], buried, ticks).await {
                    Ok(settled) => self.acknowledge(held, settled).await,
                    Err(error) => {
                        complain(&error.into());
                        pause = pause.max(AGAIN);
                        again.extend(refused.pop());
                        continue;
                    }
                }
                refused.pop();
            }
            batch = again;
            self.state.holds(!batch.is_empty());
            if batch.is_empty() {
                return;
            }
            let pause = timeout(pause, self.stop.cancelled());
            if holding(&[&batch, waiting], pause, ticks).await.is_ok() {
                return self.let_go(&batch).await;
            }
        }
    }

    async fn acknowledge(&self, held: &HeldMessage, settled: Settled) {
        let Delivery {
            context, source, ..
        } = &held.delivery;
        match settled.rejected {
            None => span::end(context),
            Some(reason) => {
                self.metrics.buried();
                span::fail(context, reason);
                let (stream, sequence) = (source.origin.stream.as_str(), source.sequence);
                let durable = source.origin.durable.as_str();
                tracing::warn!(
                    stream,
                    sequence,
                    durable,
                    reason,
                    "A message became a dead letter."
                );
            }
        }
        fail_point!("consumer/settled");
        held.ack().await;
    }

    /// Leaves messages to the next process, which gets them after AckWait: this was a stop and no
    /// crash.
    async fn let_go(&self, batch: &[HeldMessage]) {
        let mut tried = Vec::new();
        for held in batch {
            span::fail(&held.delivery.context, "let_go");
            if held.delivery.left == Left::Trial {
                tried.push(&held.delivery.source);
            }
        }
        if tried.is_empty() {
            return;
        }
        let forgotten = timeout(LAST_WORD, async {
            let tx = self.db.write("end trials").await?;
            trials::delete(&tx, &tried).await?;
            tx.commit().await
        });
        if !matches!(forgotten.await, Ok(Ok(()))) {
            tracing::warn!("A stop could not be told from a crash: the database is away.");
        }
    }

    /// Does `store` until it succeeds, and holds messages meanwhile; nothing once there is a stop.
    async fn until_stored<T, F>(
        &self,
        held: &[&[HeldMessage]],
        ticks: &mut Interval,
        mut store: impl FnMut() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let mut complained = false;
        while !self.stop.is_cancelled() {
            beat();
            match holding(held, store(), ticks).await {
                Ok(stored) => return Some(stored),
                Err(error) if !complained => complain(&error.into()),
                Err(_) => {}
            }
            complained = true;
            let _ = holding(held, timeout(AGAIN, self.stop.cancelled()), ticks).await;
        }
        None
    }
}

async fn count_trial(db: &Db, source: &Source) -> Result<i32, DbErr> {
    let tx = db.write("begin a trial").await?;
    let count = trials::count_one_more(&tx, source).await?;
    tx.commit().await?;
    Ok(count)
}

fn complain(error: &StoreError) {
    tracing::warn!(%error, "What becomes of a message could not be stored; it is held.");
}

/// Awaits `work` and tells the server at each tick that the messages are still being worked on. A
/// connection that takes nothing more holds up the telling and never the work.
async fn holding<T>(
    held: &[&[HeldMessage]],
    work: impl Future<Output = T>,
    ticks: &mut Interval,
) -> T {
    let telling = async {
        loop {
            ticks.tick().await;
            for messages in held {
                for message in *messages {
                    message.hold().await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        result = work => result,
        never = telling => never,
    }
}
