//! Does what was wished for with `resend_code`: at once after the answer, and every tick what a
//! crash or an absent database left unserved.

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
    queue::ClaimedMail,
    store::{
        self, CodeState, MailState,
        history::{Fact, What},
    },
};

/// Most wishes that are read at once.
const BATCH: u64 = 100;

#[derive(Debug, Clone)]
pub(crate) struct ServeResends {
    pub(crate) issue: IssueCode,
}

impl ServeResends {
    /// Serves all that wait every `tick`, until `stop`.
    pub(crate) async fn run(self, tick: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.serve_all(&stop).await {
                tracing::warn!(%error, "Resends were not served; the next tick tries again.");
            }
        }
    }

    async fn serve_all(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() && self.serve_batch().await? {}
        Ok(())
    }

    /// Returns whether there may be more.
    async fn serve_batch(&self) -> Result<bool, StoreError> {
        let wanted = store::resends::wanted(self.issue.db.reader(), BATCH).await?;
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
                Err(away) => return Err(away),
            }
        }
        Ok(more)
    }

    /// Does what was wished for, once: a pending mail is made due, else the next code takes the
    /// place of the newest.
    pub(super) async fn serve(&self, subject: &[u8]) -> Result<(), StoreError> {
        let tx = self.issue.db.write("serve a resend").await?;
        let Some(account_id) = store::resends::serve(&tx, subject).await? else {
            return Ok(tx.commit().await?); // nobody, or served by somebody else
        };
        // With the wish off the list in the same transaction, two who serve it make one code.
        let mail = self.serve_account(&tx, account_id).await?;
        tx.commit().await?;
        self.issue
            .announce(mail.into_iter().collect(), &[account_id]);
        self.issue.queue.poll_soon();
        Ok(())
    }

    async fn serve_account(&self, tx: &Tx, account_id: Uuid) -> Result<Option<ClaimedMail>, DbErr> {
        let Some(verification) = store::verifications::lock(tx, account_id).await? else {
            return Ok(None);
        };
        let Some(newest) = store::codes::newest(tx, account_id).await? else {
            return Ok(None);
        };
        let requested = Fact::of_code(&newest, What::ResendRequested);
        store::history::append(tx, vec![requested]).await?;
        if verification.verified_at.is_some() {
            return Ok(None);
        }
        let is_live = newest.state == CodeState::Live && newest.expires_at > tx.now();
        // Its mail has not arrived yet: another code would make the one on its way worthless.
        if is_live && newest.mail_state == MailState::Pending {
            store::codes::make_due(tx, newest.id).await?;
            return Ok(None);
        }
        let occasion = Occasion {
            why: "another code was asked for",
            context: Context::current(),
        };
        let mut room = self.issue.queue.reserve(Turn::First, 1);
        self.issue
            .replace(tx, &verification, &newest, &occasion, &mut room)
            .await
    }
}
