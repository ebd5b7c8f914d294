//! Records how attempts ended, each with the row that tells operators of it, or that there was none,
//! and goes on trying while the database is away.

use std::{sync::Arc, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    db::StoreError,
};
use tokio_util::sync::CancellationToken;

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
        let rounds = self.rounds.clone();
        let record = move || {
            let (rounds, note) = (rounds.clone(), Arc::clone(&note));
            async move { rounds.record(note).await.map(drop) }
        };
        tokio::spawn(keep_trying(claim, self.give_up.clone(), record));
        self.clock.now()
    }

    /// Gives a claim back under which nothing was sent: it counts as no attempt.
    pub(crate) async fn let_go(&self, offer: &Offer, claim: Claim) {
        let (rounds, code_id, claim_no) = (self.rounds.clone(), offer.code_id, claim.claim_no);
        let let_go = move || {
            let rounds = rounds.clone();
            async move { rounds.let_go(code_id, claim_no).await }
        };
        if let_go().await.is_err() {
            tokio::spawn(keep_trying(claim, self.give_up.clone(), let_go));
        }
    }
}

/// Tries to tell the ledger until it is told. With the claim: while it holds, nobody else sends what
/// was accepted, or counts what was not sent.
async fn keep_trying<F>(claim: Claim, give_up: CancellationToken, tell: impl Fn() -> F)
where
    F: Future<Output = Result<(), LedgerError>>,
{
    let pause = || tokio::time::sleep(PAUSE);
    // The lease is renewed as soon as the database is back, unless it has passed by then; an
    // acceptance is written in either case.
    while give_up.run_until_cancelled(pause()).await.is_some() {
        match tell().await {
            Err(LedgerError::Refused(_) | LedgerError::Store(StoreError::Unavailable(_))) => {}
            Ok(()) => break,
            // It would only be refused again. The lease passes, and the attempt counts as unknown:
            // the mailbox may have the mail, if it was sent, and the next one has the same
            // Message-ID.
            Err(LedgerError::Store(StoreError::Unexpected(error))) => {
                tracing::error!(%error, "What became of a claim cannot be recorded; it counts as unknown.");
                break;
            }
        }
    }
    // Held until here: others may claim the mail from now on.
    drop(claim);
}
