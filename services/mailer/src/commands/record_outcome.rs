//! Records how attempts ended, each with the row that tells operators of it, or that there was none,
//! and goes on trying while the database is away.

use std::{sync::Arc, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    db::StoreError,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    LedgerError,
    claim::Claim,
    notes::{Ended, Note},
    rounds::Rounds,
};
use crate::domain::Offer;

/// While the database is away, an outcome is tried again that often.
const PAUSE: Duration = Duration::from_millis(250);

/// The way to record outcomes. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes {
    rounds: Rounds,
    clock: Clock,
    give_up: CancellationToken,
}

impl Outcomes {
    /// By these rounds. What could not be recorded is tried again until `give_up`.
    pub(crate) fn new(rounds: Rounds, clock: Clock, give_up: CancellationToken) -> Self {
        Self {
            rounds,
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
        if let Ok(at) = self.rounds.record(Arc::clone(&note)).await {
            return at;
        }
        // In a task of its own: the caller is not kept, because what the mail server said is known.
        // With the claim: while it holds, nobody else sends what was accepted.
        tokio::spawn(keep_trying(
            self.rounds.clone(),
            claim,
            note,
            self.give_up.clone(),
        ));
        self.clock.now()
    }

    /// Gives a claim back under which nothing was sent: it counts as no attempt.
    pub(crate) async fn let_go(&self, offer: &Offer, claim: Claim) {
        let code_id = offer.code_id;
        if self.rounds.let_go(code_id, claim.claim_no).await.is_err() {
            let (rounds, give_up) = (self.rounds.clone(), self.give_up.clone());
            tokio::spawn(keep_letting_go(rounds, claim, code_id, give_up));
        }
    }
}

async fn keep_letting_go(rounds: Rounds, claim: Claim, code_id: Uuid, give_up: CancellationToken) {
    let pause = || tokio::time::sleep(PAUSE);
    // Renewed as soon as the database is back: nobody finds it lapsed, and counts it.
    while give_up.run_until_cancelled(pause()).await.is_some() {
        if rounds.let_go(code_id, claim.claim_no).await.is_ok() {
            break;
        }
    }
    drop(claim);
}

async fn keep_trying(rounds: Rounds, claim: Claim, note: Arc<Note>, give_up: CancellationToken) {
    let pause = || tokio::time::sleep(PAUSE);
    // The lease is renewed as soon as the database is back, unless it has passed by then; an
    // acceptance is written in either case.
    while give_up.run_until_cancelled(pause()).await.is_some() {
        match rounds.record(Arc::clone(&note)).await {
            Err(LedgerError::Refused(_) | LedgerError::Store(StoreError::Unavailable(_))) => {}
            Ok(_) => break,
            // It would only be refused again. The lease passes, and the attempt counts as unknown:
            // the mailbox may have the mail, and the next one has the same Message-ID.
            Err(LedgerError::Store(StoreError::Unexpected(error))) => {
                tracing::error!(%error, "An outcome cannot be recorded; it counts as unknown.");
                break;
            }
        }
    }
    // Held until here: others may claim the mail from now on.
    drop(claim);
}
