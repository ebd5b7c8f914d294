//! Takes codes that expired while their mail was pending. If no attempt got as far as the mail
//! server the next code takes the place, so that an outage longer than a code's life loses nobody;
//! else it ends here.

use std::time::Duration;

use kit::db::{StoreError, Tx};
use opentelemetry::Context;
use sea_orm::DbErr;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{IssueCode, issue_code::Occasion};
use crate::{
    domain::Turn,
    queue::{ClaimedMail, Room},
    store::{
        self, Code, Verification,
        history::{Fact, What},
    },
};

/// Most codes of one transaction.
const BATCH: u64 = 250;

#[derive(Debug, Clone)]
pub(crate) struct ReplaceExpired {
    pub(crate) issue: IssueCode,
}

impl ReplaceExpired {
    /// Takes all that are expired every `tick`, until `stop`.
    pub(crate) async fn run(self, tick: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.replace_all(&stop).await {
                tracing::warn!(%error, "Expired codes were not replaced; the next tick tries again.");
            }
        }
    }

    /// Batch by batch: between two of them other transactions have their turn, and a stop ends it.
    async fn replace_all(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() && self.replace_batch().await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn replace_batch(&self) -> Result<bool, StoreError> {
        let IssueCode {
            db, queue, rules, ..
        } = &self.issue;
        let now = db.now(db.reader()).await?;
        let expired = store::mails::expired(db.reader(), now, rules.lease, BATCH).await?;
        if expired.is_empty() {
            return Ok(false); // as nearly always: a tick costs no write transaction
        }
        let (codes, accounts): (Vec<Uuid>, Vec<Uuid>) = expired.into_iter().unzip();
        let is_full = codes.len() as u64 == BATCH;
        let mut room = queue.reserve(Turn::First, codes.len());
        let tx = db.write("replace expired codes").await?;
        // First the accounts' locks, as everywhere, then the codes again as they are under them:
        // between the two reads somebody may have confirmed, asked for another code, or replaced
        // it. Who is locked is left to the next tick.
        let locked = store::verifications::lock_free(&tx, accounts.clone()).await?;
        let mut mails = Vec::new();
        for code in store::mails::still_expired(&tx, rules.lease, codes).await? {
            if let Some(verification) = locked.get(&code.account_id) {
                mails.extend(self.end(&tx, verification, &code, &mut room).await?);
            }
        }
        tx.commit().await?;
        self.issue.announce(mails, &accounts);
        queue.poll_soon(); // for those that found no room
        Ok(is_full && !locked.is_empty())
    }

    async fn end(
        &self,
        tx: &Tx,
        verification: &Verification,
        code: &Code,
        room: &mut Room,
    ) -> Result<Option<ClaimedMail>, DbErr> {
        if code.mail_reached {
            store::mails::mark_expired(tx, code.id).await?;
            store::codes::keep_expired(tx, code.id).await?;
            let ended = Fact::of_code(code, What::MailUndelivered).because("expired");
            store::history::append(tx, vec![ended]).await?;
            return Ok(None);
        }
        // A trace of its own: the one that made the code ended a code's life ago.
        let occasion = Occasion {
            why: "it expired unsent",
            context: Context::new(),
        };
        self.issue
            .replace(tx, verification, code, &occasion, room)
            .await
    }
}
