//! Records how attempts ended, many in one transaction, each with the row that tells operators of it.

use std::{sync::Arc, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    db::{Db, StoreError},
    group::{Batch, Group},
};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::{BATCH, Each, Outcome, PastAttempt, QUEUE, claim::Claim};
use crate::{
    domain::Offer,
    store::{
        attempts,
        mails::{self, LedgerState},
    },
};

/// While the database is away, an outcome is tried again that often.
const PAUSE: Duration = Duration::from_millis(250);

/// How one attempt ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) offer: Arc<Offer>,
    pub(crate) claim_no: i32,
    pub(crate) outcome: Outcome,
    /// The mail server's answer, redacted.
    pub(crate) reply: String,
    /// For operators; empty when the attempt was not traced.
    pub(crate) trace_id: String,
}

type Recording = Group<Arc<Ended>, Result<Timestamp, StoreError>>;

/// The way to record outcomes. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes {
    group: Recording,
    clock: Clock,
    give_up: CancellationToken,
}

impl Outcomes {
    /// Starts the worker. What could not be recorded is tried again until `give_up`.
    pub(crate) fn start(db: Db, clock: Clock, give_up: CancellationToken) -> Self {
        let recorder = Arc::new(Recorder {
            db,
            clock: clock.clone(),
        });
        let record = move |ended| Arc::clone(&recorder).record(ended);
        let failed = |error: &StoreError| Err(error.clone());
        Self {
            group: Group::start(QUEUE, BATCH, record, failed),
            clock,
            give_up,
        }
    }

    /// Notes how an attempt ended, and answers when by the database's clock. While the database is away the caller
    /// is not kept: what the mail server said is known, and the note is tried again under the claim's lease.
    pub(crate) async fn record(&self, claim: Claim, ended: Ended) -> Timestamp {
        let ended = Arc::new(ended);
        if let Ok(Ok(at)) = self.group.submit(Arc::clone(&ended)).await {
            return at;
        }
        // In a task of its own, with the claim: while it holds, nobody else sends what was accepted.
        tokio::spawn(keep_trying(
            self.group.clone(),
            claim,
            ended,
            self.give_up.clone(),
        ));
        self.clock.now()
    }
}

/// The lease is renewed as soon as the database is back, unless it has passed by then; an acceptance is written in
/// either case.
async fn keep_trying(
    group: Recording,
    claim: Claim,
    ended: Arc<Ended>,
    give_up: CancellationToken,
) {
    let pause = || tokio::time::sleep(PAUSE);
    while give_up.run_until_cancelled(pause()).await.is_some() {
        match group.submit(Arc::clone(&ended)).await {
            Err(_) | Ok(Err(StoreError::Unavailable(_))) => {}
            Ok(Ok(_)) => break,
            // It would only be refused again. The lease passes, and the attempt counts as unknown: the mailbox may have
            // the mail, and the next one has the same Message-ID.
            Ok(Err(StoreError::Unexpected(error))) => {
                tracing::error!(%error, "An outcome cannot be recorded; it counts as unknown.");
                break;
            }
        }
    }
    drop(claim); // it was held until here
}

/// What the worker works with.
#[derive(Debug)]
struct Recorder {
    db: Db,
    clock: Clock,
}

impl Recorder {
    async fn record(self: Arc<Self>, ended: Batch<Arc<Ended>>) -> Result<Each<Timestamp>, DbErr> {
        self.commit(&ended).await.inspect_err(super::log)
    }

    async fn commit(&self, ended: &[Arc<Ended>]) -> Result<Each<Timestamp>, DbErr> {
        let tx = self.db.write("record outcomes").await?;
        let now = tx.now();
        // One order for all replicas, so that none waits for another in a circle.
        let mut sorted: Vec<&Ended> = ended.iter().map(Arc::as_ref).collect();
        sorted.sort_unstable_by_key(|ended| ended.offer.code_id);
        let accepted: Vec<_> = sorted
            .iter()
            .filter(|ended| ended.outcome == Outcome::Accepted)
            .map(|ended| ended.offer.code_id)
            .collect();
        // One statement for what nearly all of them are.
        mails::mark_accepted(&tx, &accepted).await?;
        for Ended {
            offer,
            claim_no,
            outcome,
            reply,
            ..
        } in &sorted
        {
            let (key, claim_no) = (offer.code_id, *claim_no);
            match outcome {
                Outcome::Accepted => {} // marked above
                // What the mail server refused stays refused, whoever sends by now.
                Outcome::Rejected => {
                    mails::mark_refused(&tx, key, LedgerState::Rejected, reply).await?;
                }
                Outcome::Invalid => {
                    mails::mark_refused(&tx, key, LedgerState::Invalid, reply).await?;
                }
                // Not final, and ours to say only under our own claim: a later one may be under way.
                Outcome::Unavailable => mails::set_idle(&tx, key, claim_no, 0).await?,
                Outcome::Unknown => mails::set_idle(&tx, key, claim_no, 1).await?,
            }
        }
        // Told to operators in the same transaction; also of an attempt whose claim was lost meanwhile.
        let attempts = sorted.iter().map(|ended| self.attempt(ended, now));
        attempts::insert(&tx, attempts.collect()).await?;
        tx.commit().await?;
        Ok(vec![Ok(now); ended.len()])
    }

    fn attempt(&self, ended: &Ended, now: Timestamp) -> PastAttempt {
        PastAttempt {
            id: self.clock.uuid_v7(),
            code_id: ended.offer.code_id,
            account_id: ended.offer.account_id,
            attempt: ended.claim_no,
            outcome: ended.outcome,
            reply: ended.reply.clone(),
            ended_at: now,
            trace_id: ended.trace_id.clone(),
        }
    }
}
