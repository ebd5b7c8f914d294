//! Ends the claims that a process left behind when it died, so that its mails need not wait for
//! them to run out.

use kit::db::{Db, StoreError};
use sea_orm::DbBackend;

use crate::store;

/// To be called before anything is claimed.
pub(crate) async fn end_stale_claims(db: &Db) -> Result<(), StoreError> {
    // With SQLite this process owns the database alone, so that all claims are a dead one's; with
    // Postgres they may be another replica's.
    if db.backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let tx = db.write("end stale claims").await?;
    store::mails::end_stale_claims(&tx).await?;
    Ok(tx.commit().await?)
}
