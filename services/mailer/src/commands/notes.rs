//! What a round writes of attempts that ended: their mails' rows, and the rows that tell operators.

use std::{collections::BTreeSet, sync::Arc};

use kit::{clock::Timestamp, db::Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Outcome, PastAttempt};
use crate::{
    domain::Offer,
    store::{
        attempts, ends,
        mails::{self, LedgerState},
    },
};

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
pub(super) struct Note {
    pub(super) id: Uuid,
    pub(super) ended: Ended,
}

/// The mails that notes are about: those that ended, and those that are taken back by it.
pub(super) fn keys(notes: &[Arc<Note>]) -> impl Iterator<Item = Uuid> {
    let ended = notes.iter().map(|note| &note.ended);
    ended.flat_map(|ended| {
        let taken_back = ended.taken_back.iter().copied();
        taken_back.chain([ended.offer.code_id])
    })
}

/// Writes the notes. The rows of their keys are locked.
pub(super) async fn write(tx: &Tx, notes: &[Arc<Note>]) -> Result<(), DbErr> {
    let now = tx.now();
    // One order for all replicas, so that none waits for another in a circle.
    let mut sorted: Vec<&Note> = notes.iter().map(Arc::as_ref).collect();
    sorted.sort_unstable_by_key(|note| note.ended.offer.code_id);
    let ended = sorted.iter().map(|note| &note.ended);
    let taken_back: BTreeSet<Uuid> = ended
        .clone()
        .flat_map(|ended| ended.taken_back.iter().copied())
        .collect();
    let taken_back = Vec::from_iter(taken_back);
    let accepted: Vec<_> = ended
        .clone()
        .filter(|ended| ended.outcome == Outcome::Accepted)
        .map(|ended| ended.offer.code_id)
        .collect();
    // One statement for what nearly all of them are.
    ends::mark_accepted(tx, &accepted).await?;
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
                ends::mark_refused(tx, key, LedgerState::Rejected, reply).await?;
            }
            Outcome::Invalid => {
                ends::mark_refused(tx, key, LedgerState::Invalid, reply).await?;
            }
            // Not final, and ours to say only under our own claim: a later one may be under
            // way.
            Outcome::Unavailable => mails::set_idle(tx, key, claim_no, 0).await?,
            Outcome::Unknown => mails::set_idle(tx, key, claim_no, 1).await?,
        }
    }
    // After the refusals of this very batch, some of which may be among them.
    ends::take_refusals_back(tx, &taken_back).await?;
    attempts::take_refusals_back(tx, &taken_back).await?;
    // Told to operators in the same transaction; also of an attempt whose claim was lost
    // meanwhile.
    let attempts = sorted.iter().map(|note| attempt(note, now));
    attempts::insert(tx, attempts.collect()).await
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
