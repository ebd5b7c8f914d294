//! Takes codes that expired while their mail was pending. If no attempt got as far as the mail
//! server the next code takes the place, so that an outage longer than a code's life loses nobody;
//! else it ends here.

use std::{sync::Arc, time::Duration};

use kit::{
    db::{Db, StoreError, Tx},
    repeat,
    watch::Watches,
};
use opentelemetry::Context;
use sea_orm::DbErr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{IssueCode, issue_code::Occasion};
use crate::store::{
    self, Code,
    history::{Fact, What},
};

/// Most codes of one transaction.
const BATCH: u64 = 250;

#[derive(Debug, Clone)]
pub(crate) struct ReplaceExpired {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
    pub(crate) watches: Watches<Uuid>,
    /// Notified once mails have become due.
    pub(crate) became_due: Arc<Notify>,
}

impl ReplaceExpired {
    /// Takes all that are expired every `tick`, until `stop`.
    pub(crate) async fn run(self, tick: Duration, stop: CancellationToken) {
        repeat::every(tick, "Expired codes were not replaced", stop, || {
            self.replace_all()
        })
        .await;
    }

    async fn replace_all(&self) -> Result<(), StoreError> {
        // Batch by batch: between two of them other transactions have their turn.
        while self.replace_batch().await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn replace_batch(&self) -> Result<bool, StoreError> {
        let (db, lease) = (&self.db, self.lease);
        let now = db.now(db.reader()).await?;
        let expired = store::mails::expired(db.reader(), now, lease, BATCH).await?;
        if expired.is_empty() {
            return Ok(false); // as nearly always: a tick costs no write transaction
        }
        let (codes, accounts): (Vec<Uuid>, Vec<Uuid>) = expired.into_iter().unzip();
        let is_full = codes.len() as u64 == BATCH;
        let tx = db.write("replace expired codes").await?;
        // First the accounts' locks, as everywhere, then the codes again as they are under them:
        // between the two reads somebody may have confirmed, asked for another code, or replaced
        // it. Who is locked is left to the next tick.
        let locked = store::verifications::lock_free(&tx, accounts.clone()).await?;
        for code in store::mails::still_expired(&tx, lease, codes).await? {
            if locked.contains_key(&code.account_id) {
                self.end(&tx, &code).await?;
            }
        }
        tx.commit().await?;
        self.watches.notify(&accounts);
        self.became_due.notify_one();
        // With none of them locked the same batch would come again at once, and again.
        Ok(is_full && !locked.is_empty())
    }

    async fn end(&self, tx: &Tx, code: &Code) -> Result<(), DbErr> {
        // A person may have this code's mail: another one would be a second mail nobody asked for.
        if code.mail_reached {
            store::mails::mark_expired(tx, code.id).await?;
            store::codes::keep_expired(tx, code.id).await?;
            let ended = Fact::of_code(code, What::MailUndelivered).because("expired");
            return store::history::append(tx, vec![ended]).await;
        }
        // A trace of its own: the one that made the code ended a code's life ago.
        let occasion = Occasion {
            why: "it expired unsent",
            context: Context::new(),
        };
        self.issue.replace(tx, code, &occasion).await
    }
}
