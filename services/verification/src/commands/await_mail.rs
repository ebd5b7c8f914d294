//! Waits until the mail of an account's newest code has come to an end: commands wake it, a query a
//! second finds what another replica did.

use std::sync::Arc;

use kit::{
    db::{Db, StoreError},
    watch::Watches,
};
use sea_orm::DbErr;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::MailState;
use crate::store;

/// An account's newest code, and what became of its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewestCode {
    pub(crate) id: Uuid,
    pub(crate) mail_state: MailState,
}

#[derive(Debug, Clone)]
pub(crate) struct AwaitMail {
    pub(crate) db: Db,
    pub(crate) watches: Watches<Uuid>,
    /// For those who wait at once.
    pub(crate) room: Arc<Semaphore>,
    /// Nobody waits longer than until then.
    pub(crate) stop: CancellationToken,
}

impl AwaitMail {
    /// Room for one to wait; none where as many wait as may.
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// The newest code of an account that is known, once its mail is not pending any more, or as it
    /// is at `until` or at a stop.
    pub(crate) async fn run(
        &self,
        account_id: Uuid,
        until: Instant,
    ) -> Result<NewestCode, StoreError> {
        // Before the first read: a commit between the two would wake nobody otherwise.
        let mut changes = self.watches.subscribe(account_id);
        loop {
            let newest = self.newest(account_id).await?;
            if newest.mail_state != MailState::Pending {
                return Ok(newest);
            }
            let changed = self.stop.run_until_cancelled(changes.next());
            if !matches!(timeout_at(until, changed).await, Ok(Some(()))) {
                return Ok(newest);
            }
        }
    }

    /// The newest code of an account that is known, as it is.
    pub(crate) async fn newest(&self, account_id: Uuid) -> Result<NewestCode, StoreError> {
        let newest = store::codes::newest(self.db.reader(), account_id).await?;
        let without = || DbErr::RecordNotFound("a verification has no code".to_owned());
        let newest = newest.ok_or_else(without)?;
        Ok(NewestCode {
            id: newest.id,
            mail_state: newest.mail_state,
        })
    }
}
