//! Turns accounts verified, after verification has said so. Safe to repeat: only pending accounts change.

use std::collections::HashSet;

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
    watch::Watches,
};
use uuid::Uuid;

use crate::store::accounts;

/// Commits a batch in one transaction, then wakes whoever watches these accounts. Returns the ids that belong to no
/// account, which may be: after a restore from a backup, verification knows more accounts than this database.
pub(crate) async fn verify_accounts(
    db: &Db,
    watches: &Watches<Uuid>,
    confirmed: &[(Uuid, Timestamp)],
) -> Result<HashSet<Uuid>, StoreError> {
    let tx = db.write("verify accounts").await?;
    let changed = accounts::verify(&tx, confirmed).await?;
    let mut unknown = HashSet::new();
    for (id, _) in confirmed {
        unknown.insert(*id);
    }
    for id in &changed {
        unknown.remove(id);
    }
    for verified_before in accounts::by_ids(&tx, unknown.iter().copied()).await? {
        unknown.remove(&verified_before.id);
    }
    tx.commit().await?;
    watches.notify(&changed);
    Ok(unknown)
}
