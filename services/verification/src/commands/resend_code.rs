//! ResendCode: takes from the asker's budget and commits the wish, the same one row for known and unknown. What it
//! leads to happens after the answer: nothing about its time tells whether there is such an account.

use std::time::Duration;

use kit::{clock::Timestamp, db};
use opentelemetry::{Context, context::FutureExt as _};
use sea_orm::{DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Commands, Failed, Mail};
use crate::{
    domain::{address::AddressKey, budget},
    store::{
        self, CodeState, MailState,
        history::{Fact, What},
    },
};

/// Most wishes that one round serves.
const ROUND: u64 = 100;

/// Who wants another code.
#[derive(Debug, Clone)]
pub(crate) enum ResendTarget {
    /// An account.
    Account(Uuid),
    /// Whoever signed up with this address.
    Address(AddressKey),
}

/// Why the wish was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResendError {
    /// Asked too often; the next time is allowed after this.
    #[error("asked too often")]
    Limited(Duration),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl From<DbErr> for ResendError {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl Commands {
    /// Takes the wish and returns how long to wait before the next one.
    pub(crate) async fn resend_code(&self, target: ResendTarget) -> Result<Duration, ResendError> {
        let this = self.clone();
        let (subject, next_after) = db::detached(db::measured("resend_code", async move {
            this.take_wish(target).await
        }))
        .await?;
        let this = self.clone();
        // Not awaited: the answer must not take longer where there is something to do. What a crash leaves is
        // served by the delivery's tick.
        let serving = async move {
            if let Err(error) = this.serve_resend(&subject).await {
                tracing::warn!(%error, "A resend was not served at once; the next tick does it.");
            }
        };
        tokio::spawn(serving.with_context(Context::current()));
        Ok(next_after)
    }

    /// Serves what a crash or an absent database left unserved. Returns whether there may be more.
    pub(crate) async fn serve_resends(&self) -> Result<bool, DbErr> {
        let wanted = store::resends::wanted(self.db.reader(), ROUND).await?;
        let mut all = true;
        for subject in &wanted {
            match self.serve_resend(subject).await {
                Ok(()) => {}
                Err(error) if db::is_away(&error) => return Err(error),
                // It must not keep the others from being served.
                Err(error) => {
                    tracing::error!(%error, "A resend cannot be served; the next tick tries again.");
                    all = false;
                }
            }
        }
        Ok(all && wanted.len() as u64 == ROUND)
    }

    /// Forgets askers that no limit looks back at any more.
    pub(crate) async fn purge_resends(&self) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        store::resends::purge(&tx, now - Duration::from_secs(24 * 60 * 60)).await?;
        tx.commit().await
    }

    async fn take_wish(&self, target: ResendTarget) -> Result<(Vec<u8>, Duration), ResendError> {
        let (subject, account_id) = self.subject(target).await?;
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let allowed = store::resends::take(&tx, now, &subject, account_id).await?;
        let taken = store::resends::taken(&tx, &subject).await?;
        tx.commit().await?;
        let ages: Vec<Duration> = taken.into_iter().map(|at| now.since(at)).collect();
        let next_after = budget::next_after(&ages);
        if allowed {
            Ok((subject, next_after))
        } else {
            Err(ResendError::Limited(next_after))
        }
    }

    /// What the budget is counted under, and whom the wish is for. A known account's two names share one budget.
    async fn subject(&self, target: ResendTarget) -> Result<(Vec<u8>, Option<Uuid>), DbErr> {
        let reader = self.db.reader();
        let (found, kind, name) = match target {
            ResendTarget::Address(address) => {
                let found = store::verifications::by_address(reader, address.expose()).await?;
                (found, "address", address.expose().to_owned())
            }
            ResendTarget::Account(account_id) => (
                store::verifications::find(reader, account_id).await?,
                "account",
                account_id.to_string(),
            ),
        };
        Ok(match found {
            Some(known) => (
                self.keys.blind("address", &known.address_key).to_vec(),
                Some(known.account_id),
            ),
            None => (self.keys.blind(kind, &name).to_vec(), None),
        })
    }

    /// Does what was wished for, once: a pending mail is made due, else the next code takes the place of the newest.
    async fn serve_resend(&self, subject: &[u8]) -> Result<(), DbErr> {
        let tx = self.db.begin().await?;
        let now = self.db.now(&tx).await?;
        let Some(account_id) = store::resends::serve(&tx, subject).await? else {
            return tx.commit().await; // nobody, or served by somebody else
        };
        let mails = self.serve_account(&tx, now, account_id).await?;
        tx.commit().await?;
        self.queue.hand_over(mails.into_iter().collect());
        self.queue.look();
        self.watches.notify(&[account_id]);
        Ok(())
    }

    async fn serve_account(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        account_id: Uuid,
    ) -> Result<Option<Mail>, DbErr> {
        let Some(person) = store::verifications::lock(tx, account_id).await? else {
            return Ok(None);
        };
        let Some(newest) = store::codes::newest(tx, account_id).await? else {
            return Ok(None);
        };
        let requested = Fact::of_code(account_id, newest.id, What::ResendRequested);
        store::history::append(tx, now, vec![requested]).await?;
        if person.verified_at.is_some() {
            return Ok(None);
        }
        let is_live = newest.state == CodeState::Live && newest.expires_at > now;
        if is_live && newest.mail_state == MailState::Pending {
            store::codes::make_due(tx, now, newest.id).await?;
            return Ok(None);
        }
        self.replace(
            tx,
            now,
            &person,
            &newest,
            "another code was asked for",
            &Context::current(),
        )
        .await
    }
}
