//! The dispatcher that does not wait: after the commit the event goes into a queue of this process,
//! whose worker asks verification until it takes it, within bounds. A crash loses what is queued,
//! and the same request under its idempotency key brings it back.

use std::{fmt, pin::pin, time::Duration};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use futures::{StreamExt as _, stream::FuturesUnordered};
use kit::{
    Seldom,
    db::Tx,
    telemetry::{self, names},
};
use opentelemetry::metrics::Counter;
use sea_orm::DbErr;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Created, EventDispatcher, MailOutcome, Pending, Place, Places, Verifier,
    verifier::{AwaitMail, Event},
};

/// Calls under way at once: verification commits those together that come together.
const AT_ONCE: usize = 64;
/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// Waits between an event's calls, the first and the longest: once verification is back, nothing
/// waits for much longer than that.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long after a stop began the worker goes on with what is left: the servers have most of it,
/// and a second of what workers have stays for others.
const DRAINING: Duration = Duration::from_secs(6);
/// A loss that goes on is logged this often at most.
const AGAIN: Duration = Duration::from_secs(600);

/// Within what bounds an event is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// Calls for one event.
    pub(crate) attempts: usize,
    /// Since the event was queued.
    pub(crate) longest: Duration,
}

/// Events by way of a queue in memory.
#[derive(Debug, Clone)]
pub(crate) struct Background {
    queue: UnboundedSender<Queued>,
    places: Places,
    longest: Duration,
    dropped: Counter<u64>,
}

/// Bounded by its places: there is one event for each at most.
struct Queued {
    event: Event,
    until: Instant,
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queued({})", self.event.request.account_id)
    }
}

/// The worker behind the queue.
#[derive(Debug)]
pub(crate) struct BackgroundCalls {
    queue: UnboundedReceiver<Queued>,
    verifier: Verifier,
    retries: Retries,
    losses: Losses,
}

impl Background {
    /// A queue of so many places, and the worker that brings what is in it to `verifier`.
    pub(crate) fn new(
        verifier: Verifier,
        places: usize,
        retries: Retries,
    ) -> (Self, BackgroundCalls) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let losses = Losses::default();
        let background = Self {
            queue,
            places: Places::new(places),
            longest: retries.longest,
            dropped: losses.dropped.clone(),
        };
        let calls = BackgroundCalls {
            queue: receiver,
            verifier,
            retries,
            losses,
        };
        (background, calls)
    }

    fn pending(&self, created: &Created) -> Pending {
        let (this, event) = (self.clone(), Event::new(created, AwaitMail::No));
        Pending::new(async move {
            let until = Instant::now() + this.longest;
            // Only where its caller outlived the servers of a stop, and with them the queue.
            if this.queue.send(Queued { event, until }).is_err() {
                this.dropped.add(1, &[]);
                return MailOutcome::Unknown;
            }
            MailOutcome::OnItsWay
        })
    }
}

#[async_trait]
impl EventDispatcher for Background {
    fn reserve(&self) -> Option<Place> {
        self.places.take()
    }

    async fn record(&self, _: &Tx, created: &[Created]) -> Result<Vec<Pending>, DbErr> {
        let pending = created.iter().map(|created| self.pending(created));
        Ok(pending.collect())
    }

    fn repeat(&self, created: &Created) -> Option<Pending> {
        // It may have been dropped; where it was not, verification makes nothing new of it.
        Some(self.pending(created))
    }
}

impl BackgroundCalls {
    /// Works until `finish`, when nothing more can be queued, and the queue is empty; for a while
    /// after `stop` at the longest. What is left then is lost, and said to be.
    pub(crate) async fn run(self, stop: CancellationToken, finish: CancellationToken) {
        let Self {
            mut queue,
            verifier,
            retries,
            mut losses,
        } = self;
        let mut over = pin!(async {
            stop.cancelled().await;
            sleep(DRAINING).await;
        });
        let mut calls = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !calls.is_empty() {
            tokio::select! {
                queued = queue.recv(), if is_open && calls.len() < AT_ONCE => match queued {
                    Some(queued) => calls.push(call(&verifier, retries, queued)),
                    None => is_open = false,
                },
                Some(called) = calls.next() => losses.note(called),
                () = finish.cancelled(), if !queue.is_closed() => queue.close(),
                () = &mut over => break,
            }
        }
        queue.close();
        let mut left = calls.len();
        while queue.try_recv().is_ok() {
            left += 1;
        }
        losses.note_left(left);
    }
}

/// Brings one event to verification, by as many calls as it takes.
async fn call(verifier: &Verifier, retries: Retries, queued: Queued) -> Result<(), Code> {
    let Queued { event, until } = queued;
    let ask = || verifier.issue_code(&event, until.min(Instant::now() + CALL));
    let waits = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(SHORTEST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(retries.attempts.saturating_sub(1));
    let asked = ask.retry(waits).when(may_pass);
    match timeout_at(until, asked).await {
        Ok(answer) => answer.map(drop).map_err(|status| status.code()),
        Err(_) => Err(Code::DeadlineExceeded),
    }
}

/// Whether the same call may succeed later: but for what can never be taken all may, also where an
/// operator has to set something right first.
fn may_pass(status: &Status) -> bool {
    status.code() != Code::InvalidArgument
}

/// Events that nobody took.
#[derive(Debug)]
struct Losses {
    dropped: Counter<u64>,
    told: Seldom,
}

impl Default for Losses {
    fn default() -> Self {
        let dropped = telemetry::meter()
            .u64_counter(names::USHER_DISPATCH_DROPPED)
            .with_unit("{event}")
            .with_description("Events that were given up before verification took them.")
            .build();
        dropped.add(0, &[]); // there from the beginning, so that the first one is a rise
        Self {
            dropped,
            told: Seldom::default(),
        }
    }
}

impl Losses {
    fn note(&mut self, called: Result<(), Code>) {
        let Err(status) = called else {
            // The outage, if there was one, is over: the next one is news.
            self.told = Seldom::default();
            return;
        };
        self.dropped.add(1, &[]);
        if self.told.is_due(&(), AGAIN) {
            tracing::error!(
                ?status,
                "An account's event was dropped: verification did not take it in time. No mail is sent for it unless the \
                 same sign-up is repeated under its idempotency key. Further ones are counted as usher.dispatch.dropped."
            );
        }
    }

    fn note_left(&self, left: usize) {
        if left > 0 {
            self.dropped
                .add(u64::try_from(left).unwrap_or_default(), &[]);
            tracing::error!(
                events = left,
                "Events were dropped by the stop: verification did not take them in time. No mail is sent for them unless \
                 the same sign-ups are repeated under their idempotency keys."
            );
        }
    }
}
