//! Takes pending mails that cannot be sent as they are. Where the code expired before any attempt
//! got as far as the mail server, the next code takes its place, so that an outage longer than a
//! code's life loses nobody; else it ends here. Where the code's key is retired, nobody can derive
//! its digits any more, and the next code takes its place, too; a key that is only unknown here is
//! left to the others.

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
    unsendable::{self, Unsendable},
};

/// Most codes of one transaction.
const BATCH: u64 = 250;

#[derive(Debug, Clone)]
pub(crate) struct ReplaceUnsendable {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    /// How long a claim on a mail holds.
    pub(crate) lease: Duration,
    pub(crate) watches: Watches<Uuid>,
    /// Notified once mails have become due.
    pub(crate) became_due: Arc<Notify>,
}

impl ReplaceUnsendable {
    /// Takes all whose code has expired every `tick`, until `stop`.
    pub(crate) async fn expired(self, tick: Duration, stop: CancellationToken) {
        repeat::every(tick, "Expired codes were not replaced", stop, || {
            self.all(Unsendable::Expired)
        })
        .await;
    }

    /// Takes all whose key is retired every ten `tick`s, until `stop`.
    pub(crate) async fn retired(self, tick: Duration, stop: CancellationToken) {
        let failure = "Codes of retired keys were not replaced";
        // Seldom: nearly always there is none, and the look passes over all that is pending.
        repeat::every(tick * 10, failure, stop, async || {
            let ring = self.issue.keys.ring();
            match ring.retired() {
                [] => Ok(()),
                retired => self.all(Unsendable::OfKeys(retired)).await,
            }
        })
        .await;
    }

    async fn all(&self, which: Unsendable<'_>) -> Result<(), StoreError> {
        // Batch by batch: between two of them other transactions have their turn.
        while self.batch(which).await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn batch(&self, which: Unsendable<'_>) -> Result<bool, StoreError> {
        let (db, lease) = (&self.db, self.lease);
        let now = db.now(db.reader()).await?;
        let found = unsendable::some(db.reader(), which, now, lease, BATCH).await?;
        if found.is_empty() {
            return Ok(false); // as nearly always: a tick costs no write transaction
        }
        let (codes, accounts): (Vec<Uuid>, Vec<Uuid>) = found.into_iter().unzip();
        let is_full = codes.len() as u64 == BATCH;
        let name = match which {
            Unsendable::Expired => "replace expired codes",
            Unsendable::OfKeys(_) => "replace codes of retired keys",
        };
        let tx = db.write(name).await?;
        // First the accounts' locks, as everywhere, then the codes again as they are under them:
        // between the two reads somebody may have confirmed, asked for another code, or replaced
        // it. Who is locked is left to the next tick.
        let locked = store::verifications::lock_free(&tx, accounts.clone()).await?;
        for code in unsendable::still(&tx, which, lease, codes).await? {
            if locked.contains_key(&code.account_id) {
                self.end(&tx, &code, which).await?;
            }
        }
        tx.commit().await?;
        self.watches.notify(&accounts);
        self.became_due.notify_one();
        // With none of them locked the same batch would come again at once, and again.
        Ok(is_full && !locked.is_empty())
    }

    async fn end(&self, tx: &Tx, code: &Code, which: Unsendable<'_>) -> Result<(), DbErr> {
        let why = match which {
            // A person may have this code's mail: another one would be a second mail nobody asked
            // for.
            Unsendable::Expired if code.mail_reached => {
                unsendable::mark_expired(tx, code.id).await?;
                store::codes::keep_expired(tx, code.id).await?;
                let ended = Fact::of_code(code, What::MailUndelivered).because("expired");
                return store::history::append(tx, vec![ended]).await;
            }
            Unsendable::Expired => "it expired unsent",
            Unsendable::OfKeys(_) => "its key is retired",
        };
        // A trace of its own: nobody asked for this code now.
        let occasion = Occasion {
            why,
            context: Context::new(),
        };
        self.issue.replace(tx, code, &occasion).await
    }
}
