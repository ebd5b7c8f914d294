//! Ends the claims of the last run.

use kit::db::{Db, StoreError};
use sea_orm::DbBackend;

use crate::store::mails;

pub(crate) async fn end_stale_claims(db: &Db) -> Result<(), StoreError> {
    // An SQLite file is ours alone: whoever held a claim when it was closed is dead. On Postgres
    // other replicas may hold them; there they pass by themselves.
    if db.backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let tx = db.write("end stale claims").await?;
    mails::end_stale_claims(&tx).await?;
    Ok(tx.commit().await?)
}
