//! Turns accounts verified, after verification has said so. Safe to repeat: only pending accounts
//! change.

use std::collections::HashSet;

use kit::{
    bus::{Delivery, Reason, Settled, settle},
    clock::Timestamp,
    db::Db,
    watch::Watches,
};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::store::accounts;

/// Whose code was confirmed, and when.
pub(crate) type Confirmation = (Uuid, Timestamp);

/// A message, and what it said.
pub(crate) type Told = (Delivery, Result<Confirmation, Reason>);

/// Commits a batch in one transaction, then wakes whoever watches these accounts. What was no
/// confirmation is given up with its reason, and so is one of an account that does not exist.
pub(crate) async fn verify_accounts(
    db: &Db,
    watches: &Watches<Uuid>,
    told: &[Told],
) -> Result<Vec<Settled>, DbErr> {
    let mut confirmed = Vec::with_capacity(told.len());
    for (_, confirmation) in told {
        confirmed.extend(confirmation);
    }
    let tx = db.write("verify accounts").await?;
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
    let settled = settle(tx, found).await?;
    // After the commit: a watcher that reads before it would see the old state and sleep on.
    watches.notify(&changed);
    Ok(settled)
}
