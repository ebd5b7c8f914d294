//! Makes claims on mails hold for another lease, while the mails are under way.

use std::time::Duration;

use kit::db::{Db, StoreError};

use super::Claim;
use crate::store;

/// Renews them all in one statement.
pub(crate) async fn renew_claims(
    db: &Db,
    lease: Duration,
    claims: &[Claim],
) -> Result<(), StoreError> {
    let tx = db.write("renew claims").await?;
    let until = tx.now() + lease;
    store::mails::set_claimed_until(&tx, until, claims).await?;
    Ok(tx.commit().await?)
}
