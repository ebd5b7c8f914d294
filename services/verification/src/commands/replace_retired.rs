//! Gives pending mails whose code's key is retired the next code: their digits cannot be derived
//! any more, by anybody. A key that is only unknown here is left to the others.

use std::{sync::Arc, time::Duration};

use kit::{
    db::{Db, StoreError},
    repeat,
    watch::Watches,
};
use opentelemetry::Context;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{IssueCode, issue_code::Occasion};
use crate::store;

/// Most codes of one transaction.
const BATCH: u64 = 250;

#[derive(Debug, Clone)]
pub(crate) struct ReplaceRetired {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
    pub(crate) watches: Watches<Uuid>,
    /// Notified once mails have become due.
    pub(crate) became_due: Arc<Notify>,
}

impl ReplaceRetired {
    /// Replaces all there are every ten `tick`s, until `stop`.
    pub(crate) async fn run(self, tick: Duration, stop: CancellationToken) {
        let failure = "Codes of retired keys were not replaced";
        // Seldom: nearly always there is none, and the look passes over all that is pending.
        repeat::every(tick * 10, failure, stop, || self.replace_all()).await;
    }

    async fn replace_all(&self) -> Result<(), StoreError> {
        while self.replace_batch().await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn replace_batch(&self) -> Result<bool, StoreError> {
        let ring = self.issue.keys.ring();
        let (db, lease, retired) = (&self.db, self.lease, ring.retired());
        if retired.is_empty() {
            return Ok(false);
        }
        let now = db.now(db.reader()).await?;
        let found = store::keys::of_keys(db.reader(), now, lease, retired, BATCH).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let (codes, accounts): (Vec<Uuid>, Vec<Uuid>) = found.into_iter().unzip();
        let is_full = codes.len() as u64 == BATCH;
        let tx = db.write("replace codes of retired keys").await?;
        // First the accounts' locks, as everywhere; then the codes', so that a replica that still
        // has the key cannot claim one that is about to be replaced.
        let locked = store::verifications::lock_free(&tx, accounts.clone()).await?;
        for code in store::keys::still_of_keys(&tx, lease, retired, codes).await? {
            if locked.contains_key(&code.account_id) {
                // A trace of its own: nobody asked for this code.
                let occasion = Occasion {
                    why: "its key is retired",
                    context: Context::new(),
                };
                self.issue.replace(&tx, &code, &occasion).await?;
            }
        }
        tx.commit().await?;
        self.watches.notify(&accounts);
        self.became_due.notify_one();
        Ok(is_full && !locked.is_empty())
    }
}
