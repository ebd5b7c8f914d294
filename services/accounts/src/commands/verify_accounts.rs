//! Turns accounts verified, after verification has said so. Safe to repeat: only pending accounts change.

use std::collections::HashSet;

use kit::{clock::Timestamp, db::Db, watch::Watches};
use uuid::Uuid;

use super::StoreError;
use crate::store::accounts;

/// Commits a batch in one transaction, then wakes whoever watches these accounts. Returns the ids that belong to no
/// account, which may be: after a restore from a backup, verification knows more accounts than this database.
///
/// # Errors
/// The store's; nothing was changed then.
pub async fn verify_accounts(
    db: &Db,
    watches: &Watches<Uuid>,
    confirmed: Vec<(Uuid, Timestamp)>,
) -> Result<HashSet<Uuid>, StoreError> {
    let tx = db.begin().await?;
    let changed = accounts::verify(&tx, &confirmed).await?;
    let mut others: HashSet<Uuid> = confirmed.into_iter().map(|(id, _)| id).collect();
    for id in &changed {
        others.remove(id);
    }
    for verified_before in accounts::by_ids(&tx, others.iter().copied()).await? {
        others.remove(&verified_before.id);
    }
    tx.commit().await?;
    watches.notify(&changed);
    Ok(others)
}
