//! Turns accounts verified, after verification has said so. Safe to repeat: only pending accounts
//! change.

use std::collections::HashSet;

use kit::{
    bus::{Delivery, Reason, Settled, settle},
    clock::Timestamp,
    db::{Db, StoreError},
    fail_point,
    group::{Batch, together},
    watch::Watches,
};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::store::accounts;

/// Whose code was confirmed, and when.
pub(crate) type Confirmation = (Uuid, Timestamp);

/// A message, and what it said.
pub(crate) type Told = (Delivery, Result<Confirmation, Reason>);

#[derive(Debug, Clone)]
pub(crate) struct VerifyAccounts {
    pub(crate) db: Db,
    pub(crate) watches: Watches<Uuid>,
}

type Answer = Result<Settled, StoreError>;

impl VerifyAccounts {
    /// Answers each of the batch, in their order. What was no confirmation is given up with its
    /// reason, and so is one of an account that does not exist.
    pub(crate) async fn run(&self, batch: Vec<Told>) -> Vec<Answer> {
        let verify = async |batch: Batch<Told>| self.verify(&batch).await;
        together(Batch::from(batch), verify, |error| Err(error.clone())).await
    }

    async fn verify(&self, told: &[Told]) -> Result<Vec<Answer>, DbErr> {
        let mut confirmed = Vec::with_capacity(told.len());
        for (_, confirmation) in told {
            confirmed.extend(confirmation);
        }
        let tx = self.db.write("verify accounts").await?;
        let changed = accounts::verify(&tx, &confirmed).await?;
        let mut unknown = HashSet::new();
        for (id, _) in &confirmed {
            unknown.insert(*id);
        }
        for id in &changed {
            unknown.remove(id);
        }
        // An event may come twice: what changed nothing is unknown only if there is no such account.
        for verified_before in accounts::by_ids(&tx, unknown.iter().copied()).await? {
            unknown.remove(&verified_before.id);
        }
        let mut found = Vec::with_capacity(told.len());
        for (delivery, confirmation) in told {
            let outcome = match confirmation {
                // After a restore from a backup verification knows more accounts than this database:
                // the dead letter can be replayed once the account is back.
                Ok((id, _)) if unknown.contains(id) => Err("unknown_account"),
                Ok(_) => Ok(()),
                Err(reason) => Err(*reason),
            };
            found.push((delivery, outcome));
        }
        fail_point!("accounts/verified");
        let settled = settle(tx, found).await?;
        // After the commit: a watcher that reads before it would see the old state and sleep on.
        self.watches.notify(&changed);
        Ok(settled.into_iter().map(Ok).collect())
    }
}
