//! Writes down how attempts to send mails ended, a batch in one transaction.

use std::collections::{HashMap, HashSet};

use kit::{
    clock::Timestamp,
    db::{Db, StoreError, Tx},
    fail_point, random,
    watch::Watches,
};
use sea_orm::DbErr;
use uuid::Uuid;

use super::Claim;
use crate::{
    domain::{Fate, Outcome, fate},
    store::{
        self,
        history::{Fact, What},
        mails::{GivenUp, Postponed},
    },
};

/// One attempt to send a mail, as the mailer answered it.
#[derive(Debug, Clone)]
pub(crate) struct MailAttempt {
    pub(crate) claim: Claim,
    pub(crate) account_id: Uuid,
    /// How often the mailer had tried the mail before.
    pub(crate) earlier_attempts: u32,
    pub(crate) outcome: Outcome,
    /// The mailer's count of attempts whose outcome stayed unknown.
    pub(crate) unknown_attempts: u32,
    /// Whether this attempt got as far as the mail server.
    pub(crate) reached: bool,
    /// With `Accepted`: when the mail server said so, if the mailer told.
    pub(crate) accepted_at: Option<Timestamp>,
    /// Why, for people; no address, no digits.
    pub(crate) reason: String,
}

/// A batch, sorted by what is to be written.
#[derive(Debug, Default)]
struct Sorted {
    accepted: Vec<(Uuid, Timestamp)>,
    rejected: Vec<Uuid>,
    given_up: Vec<GivenUp>,
    postponed: Vec<Postponed>,
    /// What the history is to say of a code, if the row took the change.
    facts: HashMap<Uuid, Fact>,
}

/// Returns the mails whose acceptance was news.
pub(crate) async fn record_outcomes(
    db: &Db,
    watches: &Watches<Uuid>,
    batch: &[MailAttempt],
) -> Result<HashSet<Uuid>, StoreError> {
    if batch.is_empty() {
        return Ok(HashSet::new());
    }
    let tx = db.write("record outcomes").await?;
    let mut sorted = Sorted::default();
    let mut batch: Vec<&MailAttempt> = batch.iter().collect();
    // In the order of their keys: two replicas wait for each other, never deadlock.
    batch.sort_unstable_by_key(|attempt| attempt.claim.code_id);
    for attempt in &batch {
        sorted.add(tx.now(), attempt);
    }
    // All of them first: what follows is four statements, and each would lock in an order of its
    // own.
    store::mails::lock(&tx, batch.iter().map(|attempt| attempt.claim.code_id)).await?;
    let accepted = sorted.write(&tx).await?;
    fail_point!("verification/recording");
    tx.commit().await?;
    fail_point!("verification/recorded");
    let accounts: Vec<Uuid> = batch.iter().map(|attempt| attempt.account_id).collect();
    watches.notify(&accounts);
    Ok(accepted)
}

impl Sorted {
    fn add(&mut self, now: Timestamp, attempt: &MailAttempt) {
        let MailAttempt {
            claim,
            outcome,
            unknown_attempts,
            reached,
            ..
        } = *attempt;
        let code_id = claim.code_id;
        let attempts = attempt.earlier_attempts + 1;
        match fate(outcome, attempts, unknown_attempts, random::fraction()) {
            Fate::Accepted => {
                // By the mailer's clock: an answer lost with its stream comes an attempt later.
                self.accepted
                    .push((code_id, attempt.accepted_at.unwrap_or(now)));
            }
            Fate::Rejected => {
                self.rejected.push(code_id);
                self.tell(attempt, What::MailRejected, &attempt.reason);
            }
            Fate::Undelivered(why) => {
                self.given_up.push(GivenUp { claim, reached });
                self.tell(attempt, What::MailUndelivered, why);
            }
            Fate::Again(wait) => {
                // Of an attempt that is under way nobody knows yet whether it fails.
                let counted = !matches!(outcome, Outcome::InFlight(_));
                let next_attempt_at = now + wait;
                self.postponed.push(Postponed {
                    claim,
                    next_attempt_at,
                    counted,
                    reached,
                });
                if counted {
                    let what = match outcome {
                        Outcome::Unknown => What::MailAnswerLost,
                        _ => What::MailAttemptFailed,
                    };
                    self.tell(attempt, what, &attempt.reason);
                }
            }
        }
    }

    fn tell(&mut self, attempt: &MailAttempt, what: What, detail: &str) {
        let code_id = attempt.claim.code_id;
        let fact = Fact {
            account_id: attempt.account_id,
            code_id: Some(code_id),
            what,
            detail: detail.to_owned(),
        };
        self.facts.insert(code_id, fact);
    }

    async fn write(mut self, tx: &Tx) -> Result<HashSet<Uuid>, DbErr> {
        // Facts are written whoever holds the claim by now; the rest only where the claim is still
        // the newest.
        let accepted = store::mails::accept(tx, &self.accepted).await?;
        let mut changed = store::mails::reject(tx, &self.rejected).await?;
        changed.extend(store::mails::give_up(tx, &self.given_up).await?);
        changed.extend(store::mails::postpone(tx, &self.postponed).await?);
        // No story of what changed nothing: the answer came late, or came twice.
        let facts = changed
            .iter()
            .filter_map(|code_id| self.facts.remove(code_id))
            .collect();
        store::history::append(tx, facts).await?;
        Ok(accepted.into_iter().collect())
    }
}
