//! Takes from the asker's budget and commits the wish, the same one row for known and unknown. What
//! it leads to, `serve_resends`, happens after the answer: nothing about its time tells whether
//! there is such an account.

use std::{sync::Arc, time::Duration};

use kit::{
    Violation,
    db::{Db, StoreError, detached_within},
};
use opentelemetry::{Context, context::FutureExt as _};
use sea_orm::DbErr;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::serve_resends::ServeResends;
use crate::{
    code_keys::CodeKeys,
    domain::{AddressKey, asker_id, next_resend_after},
    store,
};

/// Who wants another code.
#[derive(Debug, Clone)]
pub(crate) enum ResendTarget {
    Account(Uuid),
    /// Whoever signed up with this address.
    Address(AddressKey),
}

/// Why the wish was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ResendCodeError {
    #[error("the request is malformed")]
    Invalid(Violation),
    /// The next time is allowed after this.
    #[error("asked too often")]
    TooOften(Duration),
    #[error("too many wishes at once")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for ResendCodeError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ResendCode {
    pub(crate) db: Db,
    pub(crate) keys: CodeKeys,
    pub(crate) serve_resends: ServeResends,
    /// For wishes that are taken, and served, at once; shared with the guesses.
    pub(crate) room: Arc<Semaphore>,
}

impl ResendCode {
    /// Takes the wish and returns how long to wait before the next one.
    pub(crate) async fn run(&self, target: ResendTarget) -> Result<Duration, ResendCodeError> {
        let this = self.clone();
        // In a task of its own: a caller that hangs up in the middle of a statement would take its
        // connection along.
        let taken = detached_within(&self.room, async move { this.take(target).await }).await;
        let (subject, next_after) = taken.unwrap_or(Err(ResendCodeError::Busy))?;
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return Ok(next_after); // the next tick serves it
        };
        let serve_resends = self.serve_resends.clone();
        // Not awaited: the answer must not take longer where there is something to do. The wish is
        // committed: if this process dies now, the tick serves it.
        let serving = async move {
            if let Err(error) = serve_resends.serve(&subject).await {
                tracing::warn!(%error, "A resend was not served at once; the next tick does it.");
            }
            drop(place);
        };
        tokio::spawn(serving.with_context(Context::current()));
        Ok(next_after)
    }

    async fn take(&self, target: ResendTarget) -> Result<(Vec<u8>, Duration), ResendCodeError> {
        let (subject, account_id) = self.subject(target).await?;
        let tx = self.db.write("take a resend").await?;
        // The same row and the same statements for known and unknown: neither answer nor time tells
        // them apart.
        store::resends::move_back(&tx, &subject).await?;
        let is_allowed = store::resends::take(&tx, &subject, account_id).await?;
        let ages = store::resends::ages(&tx, &subject).await?;
        tx.commit().await?;
        let next_after = next_resend_after(&ages);
        if is_allowed {
            Ok((subject, next_after))
        } else {
            Err(ResendCodeError::TooOften(next_after))
        }
    }

    /// What the budget is counted under, and whom the wish is for.
    async fn subject(&self, target: ResendTarget) -> Result<(Vec<u8>, Option<Uuid>), DbErr> {
        let (reader, ring) = (self.db.reader(), self.keys.ring());
        let (found, kind, name) = match target {
            ResendTarget::Address(address) => {
                let found = store::verifications::by_address(reader, address.expose()).await?;
                (found, "address", address.expose().to_owned())
            }
            ResendTarget::Account(account_id) => {
                let found = store::verifications::find(reader, account_id).await?;
                (found, "account", account_id.to_string())
            }
        };
        let Some(known) = found else {
            // Counted all the same: a limit that only known ones have would tell who is known.
            return Ok((asker_id(&ring, kind, &name), None));
        };
        // A known account's two names share one budget.
        let subject = asker_id(&ring, "address", &known.address_key);
        Ok((subject, Some(known.account_id)))
    }
}
