//! Ends claims on mails that this process will not send: whoever can sends them, nothing is
//! counted.

use kit::{
    clock::Timestamp,
    db::{Db, StoreError},
};

use super::Claim;
use crate::store;

/// Releases them all in one statement.
pub(crate) async fn release_claims(db: &Db, claims: &[Claim]) -> Result<(), StoreError> {
    let tx = db.write("release claims").await?;
    store::mails::set_claimed_until(&tx, Timestamp(0), claims).await?;
    Ok(tx.commit().await?)
}
