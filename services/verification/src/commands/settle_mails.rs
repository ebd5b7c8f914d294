//! SettleMails: writes down what the mailer answered, a batch in one transaction.

use std::collections::{HashMap, HashSet};

use kit::{clock::Timestamp, random};
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Claim, Commands};
use crate::{
    domain::mail::{Fate, Outcome, fate},
    store::{
        self,
        history::{Fact, What},
        mails::Postponed,
    },
};

/// The mailer's answer about one mail.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) claim: Claim,
    pub(crate) account_id: Uuid,
    /// How often the mailer had tried the mail before.
    pub(crate) attempts: u32,
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
    given_up: Vec<(Claim, bool)>,
    postponed: Vec<Postponed>,
    /// What the history is to say of a code, if the row took the change.
    facts: HashMap<Uuid, Fact>,
}

impl Commands {
    /// Settles a batch. Returns the mails whose acceptance was news.
    pub(crate) async fn settle_mails(&self, batch: &[Settlement]) -> Result<HashSet<Uuid>, DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let mut sorted = Sorted::default();
        let mut batch: Vec<&Settlement> = batch.iter().collect();
        batch.sort_unstable_by_key(|settled| settled.claim.code_id); // two replicas wait, never deadlock
        for settled in &batch {
            sorted.add(now, settled);
        }
        let accepted = sorted.write(&tx, now).await?;
        tx.commit().await?;
        let accounts: Vec<Uuid> = batch.iter().map(|settled| settled.account_id).collect();
        self.watches.notify(&accounts);
        Ok(accepted)
    }
}

impl Sorted {
    fn add(&mut self, now: Timestamp, settled: &Settlement) {
        let Settlement {
            claim,
            attempts,
            outcome,
            unknown_attempts,
            reached,
            ..
        } = *settled;
        let code_id = claim.code_id;
        let mut tell = |what, detail: &str| {
            let fact = Fact {
                detail: detail.to_owned(),
                ..Fact::of_code(settled.account_id, code_id, what)
            };
            self.facts.insert(code_id, fact);
        };
        match fate(outcome, attempts + 1, unknown_attempts, random::fraction()) {
            Fate::Accepted => self
                .accepted
                .push((code_id, settled.accepted_at.unwrap_or(now))),
            Fate::Rejected => {
                tell(What::MailRejected, &settled.reason);
                self.rejected.push(code_id);
            }
            Fate::Undelivered(why) => {
                tell(What::MailUndelivered, why);
                self.given_up.push((claim, reached));
            }
            Fate::Again(wait) => {
                let counted = !matches!(outcome, Outcome::InFlight(_));
                if counted {
                    tell(What::MailAttemptFailed, &settled.reason);
                }
                self.postponed.push(Postponed {
                    claim,
                    next_attempt_at: now + wait,
                    counted,
                    reached,
                });
            }
        }
    }

    async fn write(
        mut self,
        tx: &DatabaseTransaction,
        now: Timestamp,
    ) -> Result<HashSet<Uuid>, DbErr> {
        let accepted = store::mails::accept(tx, &self.accepted).await?;
        let mut changed = store::mails::reject(tx, &self.rejected).await?;
        changed.extend(store::mails::give_up(tx, &self.given_up).await?);
        changed.extend(store::mails::postpone(tx, &self.postponed).await?);
        let facts = changed
            .iter()
            .filter_map(|code_id| self.facts.remove(code_id))
            .collect();
        store::history::append(tx, now, facts).await?;
        Ok(accepted.into_iter().collect())
    }
}
