//! Records how attempts ended, many in one transaction, each with the row that tells operators of
//! it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    db::{Db, StoreError},
    fail_point,
    group::{Batch, Group},
};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{BATCH, Each, Outcome, PastAttempt, QUEUE, claim::Claim};
use crate::{
    domain::Offer,
    store::{
        attempts, ends,
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
    /// Mails whose refusals were none of them, and are taken back.
    pub(crate) taken_back: Vec<Uuid>,
    /// For operators; empty when the attempt was not traced.
    pub(crate) trace_id: String,
}

/// The end of one attempt, under the id of the row that tells of it.
#[derive(Debug)]
struct Note {
    id: Uuid,
    ended: Ended,
}

type Recording = Group<Arc<Note>, Result<Timestamp, StoreError>>;

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
        let recorder = Arc::new(Recorder { db });
        let record = move |notes| Arc::clone(&recorder).record(notes);
        let failed = |error: &StoreError| Err(error.clone());
        Self {
            group: Group::start(QUEUE, BATCH, record, failed),
            clock,
            give_up,
        }
    }

    /// Notes how an attempt ended, and answers when by the database's clock; while the database is
    /// away by our own.
    pub(crate) async fn record(&self, claim: Claim, ended: Ended) -> Timestamp {
        // The id is made before the commit: an end that is written again, because the answer to its
        // commit was lost, is one row.
        let note = Arc::new(Note {
            id: self.clock.uuid_v7(),
            ended,
        });
        if let Ok(Ok(at)) = self.group.submit(Arc::clone(&note)).await {
            return at;
        }
        // In a task of its own: the caller is not kept, because what the mail server said is known.
        // With the claim: while it holds, nobody else sends what was accepted.
        tokio::spawn(keep_trying(
            self.group.clone(),
            claim,
            note,
            self.give_up.clone(),
        ));
        self.clock.now()
    }
}

async fn keep_trying(group: Recording, claim: Claim, note: Arc<Note>, give_up: CancellationToken) {
    let pause = || tokio::time::sleep(PAUSE);
    // The lease is renewed as soon as the database is back, unless it has passed by then; an
    // acceptance is written in either case.
    while give_up.run_until_cancelled(pause()).await.is_some() {
        match group.submit(Arc::clone(&note)).await {
            Err(_) | Ok(Err(StoreError::Unavailable(_))) => {}
            Ok(Ok(_)) => break,
            // It would only be refused again. The lease passes, and the attempt counts as unknown:
            // the mailbox may have the mail, and the next one has the same Message-ID.
            Ok(Err(StoreError::Unexpected(error))) => {
                tracing::error!(%error, "An outcome cannot be recorded; it counts as unknown.");
                break;
            }
        }
    }
    // Held until here: others may claim the mail from now on.
    drop(claim);
}

/// What the worker works with.
#[derive(Debug)]
struct Recorder {
    db: Db,
}

impl Recorder {
    async fn record(self: Arc<Self>, notes: Batch<Arc<Note>>) -> Result<Each<Timestamp>, DbErr> {
        self.commit(&notes).await.inspect_err(super::log)
    }

    async fn commit(&self, notes: &[Arc<Note>]) -> Result<Each<Timestamp>, DbErr> {
        let tx = self.db.write("record outcomes").await?;
        let now = tx.now();
        // One order for all replicas, so that none waits for another in a circle.
        let mut sorted: Vec<&Note> = notes.iter().map(Arc::as_ref).collect();
        sorted.sort_unstable_by_key(|note| note.ended.offer.code_id);
        // Among the locked as well: these rows are other mails', which other replicas may be at.
        let taken_back: BTreeSet<Uuid> = sorted
            .iter()
            .flat_map(|note| note.ended.taken_back.iter().copied())
            .collect();
        let taken_back = Vec::from_iter(taken_back);
        let touched = sorted.iter().map(|note| note.ended.offer.code_id);
        mails::lock_all(&tx, touched.chain(taken_back.iter().copied())).await?;
        let ended = sorted.iter().map(|note| &note.ended);
        let accepted: Vec<_> = ended
            .clone()
            .filter(|ended| ended.outcome == Outcome::Accepted)
            .map(|ended| ended.offer.code_id)
            .collect();
        // One statement for what nearly all of them are.
        ends::mark_accepted(&tx, &accepted).await?;
        for Ended {
            offer,
            claim_no,
            outcome,
            reply,
            ..
        } in ended
        {
            let (key, claim_no) = (offer.code_id, *claim_no);
            match outcome {
                // Marked above.
                Outcome::Accepted => {}
                // What the mail server refused stays refused, whoever sends by now.
                Outcome::Rejected => {
                    ends::mark_refused(&tx, key, LedgerState::Rejected, reply).await?;
                }
                Outcome::Invalid => {
                    ends::mark_refused(&tx, key, LedgerState::Invalid, reply).await?;
                }
                // Not final, and ours to say only under our own claim: a later one may be under
                // way.
                Outcome::Unavailable => mails::set_idle(&tx, key, claim_no, 0).await?,
                Outcome::Unknown => mails::set_idle(&tx, key, claim_no, 1).await?,
            }
        }
        // After the refusals of this very batch, some of which may be among them.
        ends::take_refusals_back(&tx, &taken_back).await?;
        attempts::take_refusals_back(&tx, &taken_back).await?;
        // Told to operators in the same transaction; also of an attempt whose claim was lost
        // meanwhile.
        let attempts = sorted.iter().map(|note| attempt(note, now));
        attempts::insert(&tx, attempts.collect()).await?;
        fail_point!("mailer/recording");
        tx.commit().await?;
        Ok(vec![Ok(now); notes.len()])
    }
}

fn attempt(Note { id, ended }: &Note, now: Timestamp) -> PastAttempt {
    PastAttempt {
        id: *id,
        code_id: ended.offer.code_id,
        account_id: ended.offer.account_id,
        attempt: ended.claim_no,
        outcome: ended.outcome,
        reply: ended.reply.clone(),
        ended_at: now,
        trace_id: ended.trace_id.clone(),
    }
}
