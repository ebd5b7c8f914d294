//! Does what was wished for with `resend_code`: at once after the answer, and every tick what a
//! crash or an absent database left unserved.

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
    self, CodeState, MailState,
    history::{Fact, What},
};

/// Most wishes that are read at once.
const BATCH: u64 = 100;

#[derive(Debug, Clone)]
pub(crate) struct ServeResends {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    pub(crate) watches: Watches<Uuid>,
    /// Notified once a mail has become due.
    pub(crate) became_due: Arc<Notify>,
}

impl ServeResends {
    /// Serves all that wait every `tick`, until `stop`.
    pub(crate) async fn run(self, tick: Duration, stop: CancellationToken) {
        repeat::every(tick, "Resends were not served", stop, || self.serve_all()).await;
    }

    async fn serve_all(&self) -> Result<(), StoreError> {
        while self.serve_batch().await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn serve_batch(&self) -> Result<bool, StoreError> {
        let wanted = store::resends::wanted(self.db.reader(), BATCH).await?;
        let mut more = wanted.len() as u64 == BATCH;
        for subject in &wanted {
            match self.serve(subject).await {
                Ok(()) => {}
                Err(StoreError::Unexpected(error)) => {
                    // It must not keep the others from being served, nor be met again before the
                    // next tick.
                    tracing::error!(%error, "A resend cannot be served; the next tick tries again.");
                    more = false;
                }
                // The rest would wait as long and fail as well.
                Err(away) => return Err(away),
            }
        }
        Ok(more)
    }

    /// Does what was wished for: a pending mail is made due, else the next code takes the place of
    /// the newest.
    pub(super) async fn serve(&self, subject: &[u8]) -> Result<(), StoreError> {
        let tx = self.db.write("serve a resend").await?;
        let Some(account_id) = store::resends::serve(&tx, subject).await? else {
            return Ok(tx.commit().await?); // nobody, or served by somebody else
        };
        // With the wish off the list in the same transaction, two who serve it make one code.
        self.serve_account(&tx, account_id).await?;
        tx.commit().await?;
        self.watches.notify(&[account_id]);
        self.became_due.notify_one();
        Ok(())
    }

    async fn serve_account(&self, tx: &Tx, account_id: Uuid) -> Result<(), DbErr> {
        let Some(verification) = store::verifications::lock(tx, account_id).await? else {
            return Ok(());
        };
        let Some(newest) = store::codes::newest(tx, account_id).await? else {
            return Ok(());
        };
        let requested = Fact::of_code(&newest, What::ResendRequested);
        store::history::append(tx, vec![requested]).await?;
        // Asked under the lock: it may have been confirmed since the wish was taken.
        if verification.verified_at.is_some() {
            return Ok(());
        }
        let is_live = newest.state == CodeState::Live && newest.expires_at > tx.now();
        // Its mail has not arrived yet: another code would make the one on its way worthless.
        if is_live && newest.mail_state == MailState::Pending {
            store::codes::make_due(tx, newest.id).await?;
            return Ok(());
        }
        let occasion = Occasion {
            why: "another code was asked for",
            context: Context::current(),
        };
        self.issue.replace(tx, &newest, &occasion).await
    }
}
