//! Gives a pending mail whose code's key is gone the next code: its digits cannot be derived any more.

use kit::{
    db::{Db, StoreError},
    watch::Watches,
};
use opentelemetry::Context;
use uuid::Uuid;

use super::{IssueCode, issue_code::Cause};
use crate::{
    delivery::queue::Queue,
    store::{self, Code, CodeState, MailState},
};

#[derive(Debug, Clone)]
pub(crate) struct ReplaceKeyless {
    pub(crate) db: Db,
    pub(crate) issue: IssueCode,
    pub(crate) queue: Queue,
    pub(crate) watches: Watches<Uuid>,
}

impl ReplaceKeyless {
    /// Replaces the code if it is still the account's newest and its mail still waits. Who has the account locked
    /// goes first: the next tick meets the code again if it is still so.
    pub(super) async fn run(&self, code: &Code) -> Result<(), StoreError> {
        tracing::warn!(code.id = %code.id, key.id = code.key_id, "The key of a pending code is gone; it is replaced.");
        let account_id = code.account_id;
        let mut room = self.queue.reserve(1);
        let tx = self.db.write("replace a keyless code").await?;
        let locked = store::verifications::lock_free(&tx, vec![account_id]).await?;
        let newest = store::codes::newest(&tx, account_id).await?;
        let mut mail = None;
        if let (Some(verification), Some(newest)) = (locked.get(&account_id), newest)
            && newest.id == code.id
            && newest.state == CodeState::Live
            && newest.mail_state == MailState::Pending
        {
            // A trace of its own: nobody asked for this code.
            let cause = Cause {
                why: "its key is gone",
                context: Context::new(),
            };
            let replacing = self
                .issue
                .replace(&tx, verification, &newest, &cause, &mut room);
            mail = replacing.await?;
        }
        tx.commit().await?;
        self.queue.hand_over(mail.into_iter().collect());
        self.watches.notify(&[account_id]);
        Ok(())
    }
}
