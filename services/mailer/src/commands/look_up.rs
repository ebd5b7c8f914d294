//! How an offered mail stands in the ledger: may it be sent, is it, was it, or is the key another
//! mail's? Where it may have to wait for long, `deliver` asks first, without a lock; `claim` asks
//! under one.

use std::{sync::Arc, time::Duration};

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
    group::{Batch, Group},
};
use sea_orm::DbErr;

use super::{Answer, BATCH, Each, LedgerError, Outcome, QUEUE};
use crate::{
    domain::{AddressKeys, Offer, TEMPLATE},
    store::mails::{self, LedgerState},
};

/// After so many attempts whose outcome could not be learnt, a mail is not sent again.
const UNKNOWN_LIMIT: u32 = 3;

/// What the ledger says to an offered mail. Unknown attempts are those whose outcome could not be
/// learnt.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// It may be claimed: because it may be sent, or because its sender's lease has passed; then
    /// the claim, which alone may write, counts that attempt before another one begins.
    Claimable { unknown_attempts: u32 },
    /// Nothing is to be sent now, and this is the answer.
    Answered(Answer),
}

/// The way to look mails up. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct LookUps(Group<Arc<Offer>, Result<Standing, StoreError>>);

impl LookUps {
    /// Starts the worker: one query for all that are looked up meanwhile.
    pub(crate) fn start(db: Db, keys: AddressKeys, lease: Duration) -> Self {
        let look_up = move |offers: Batch<Arc<Offer>>| {
            let (db, keys) = (db.clone(), keys.clone());
            async move {
                look_up(&db, &keys, lease, &offers)
                    .await
                    .inspect_err(super::log)
            }
        };
        let failed = |error: &StoreError| Err(error.clone());
        Self(Group::start(QUEUE, BATCH, look_up, failed))
    }

    /// What is final or under way is answered by this alone; the rest waits for its turn.
    pub(crate) async fn look_up(&self, offer: Arc<Offer>) -> Result<Standing, LedgerError> {
        Ok(self.0.submit(offer).await??)
    }
}

async fn look_up(
    db: &Db,
    keys: &AddressKeys,
    lease: Duration,
    offers: &[Arc<Offer>],
) -> Result<Each<Standing>, DbErr> {
    let keys_of_mails = offers.iter().map(|offer| offer.code_id);
    let rows = mails::find(db.reader(), keys_of_mails).await?;
    if rows.is_empty() {
        // New mails all of them, as nearly always: no clock is needed.
        return Ok(vec![Ok(Standing::NEW); offers.len()]);
    }
    // Leases are judged by the database's clock and no other.
    let now = db.now(db.reader()).await?;
    let rows = mails::by_key(rows);
    let mut standings = Vec::with_capacity(offers.len());
    for offer in offers {
        let row = rows.get(&offer.code_id);
        standings.push(Ok(Standing::of(row, offer, keys, now, lease)));
    }
    Ok(standings)
}

impl Standing {
    const NEW: Self = Self::Claimable {
        unknown_attempts: 0,
    };

    /// Reads the row of an offer's key.
    pub(super) fn of(
        row: Option<&mails::Model>,
        offer: &Offer,
        keys: &AddressKeys,
        now: Timestamp,
        lease: Duration,
    ) -> Self {
        const OTHER_MAIL: &str = "code_id: the key was used for another mail";
        const UNKNOWABLE: &str = "the outcomes of earlier attempts are unknown";
        let Some(row) = row else {
            return Self::NEW;
        };
        let unknown_attempts = row.unknown_attempts();
        let lease_left = row.lease_left(now, lease);
        let (outcome, reached, reason) = match row.state {
            // First, whatever the state: what became of another mail is nobody's business here.
            _ if !is_same_mail(row, offer, keys) => (Outcome::Invalid, false, OTHER_MAIL),
            LedgerState::Accepted => (Outcome::Accepted, true, ""),
            LedgerState::Rejected => (Outcome::Rejected, true, &*row.reason),
            LedgerState::Invalid => (Outcome::Invalid, false, &*row.reason),
            LedgerState::Sending if let Some(left) = lease_left => {
                return Self::Answered(in_flight(left, unknown_attempts));
            }
            // Each of them may have reached the mailbox: one more mail would be one too many. The
            // client gives up at the same count, but an answer can be lost on its way there.
            LedgerState::Idle if unknown_attempts >= UNKNOWN_LIMIT => {
                (Outcome::Unknown, true, UNKNOWABLE)
            }
            // Still `sending`, and the lease has passed: nobody sends.
            LedgerState::Idle | LedgerState::Sending => {
                return Self::Claimable { unknown_attempts };
            }
        };
        Self::Answered(Answer {
            outcome: Some(outcome),
            accepted_at: row.ended_at.filter(|_| outcome == Outcome::Accepted),
            retry_after: None,
            unknown_attempts,
            reached,
            reason: reason.to_owned(),
        })
    }
}

/// Somebody else is sending it, for that long at the most.
pub(super) fn in_flight(left: Duration, unknown_attempts: u32) -> Answer {
    Answer {
        retry_after: Some(left),
        unknown_attempts,
        reason: "another attempt is under way".to_owned(),
        ..Answer::default()
    }
}

/// Whether template, locale and recipient are those of the row.
fn is_same_mail(row: &mails::Model, offer: &Offer, keys: &AddressKeys) -> bool {
    // Never the code, which the ledger must not know in any form. A key that is gone, as after a
    // loss of the file, must not make every mail another one: the first two decide alone.
    row.template == TEMPLATE
        && row.locale == offer.locale.as_str()
        && keys
            .matches(&row.address(), &offer.recipient)
            .unwrap_or(true)
}
