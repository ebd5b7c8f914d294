//! Makes claims on mails hold for another lease, while the mails are under way.

use std::time::Duration;

use kit::db::{Db, StoreError};
use tokio::time::Instant;
use uuid::Uuid;

use super::Claim;
use crate::store;

/// Renews them all in one statement. Returns the codes whose claim holds for another lease, and
/// since when: the others have been claimed by somebody else.
pub(crate) async fn renew_claims(
    db: &Db,
    lease: Duration,
    claims: &[Claim],
) -> Result<(Instant, Vec<Uuid>), StoreError> {
    let tx = db.write("renew claims").await?;
    // Since when, by the clock of this process: the loop measures the lease from here, not from the
    // answer, which may be late.
    let begun = tx.begun();
    let until = tx.now() + lease;
    let renewed = store::mails::set_claimed_until(&tx, until, claims).await?;
    tx.commit().await?;
    Ok((begun, renewed))
}
