//! Takes back that mails were rejected: the mailer found that their mail server says the same of
//! everybody.

use kit::{
    db::{Db, StoreError},
    watch::Watches,
};
use uuid::Uuid;

use crate::store;

/// Mails of live codes are due at once, as if they had never been refused; of others, and where
/// this replica knows no such mail, nothing happens. It may be told more than once.
pub(crate) async fn take_back_rejections(
    db: &Db,
    watches: &Watches<Uuid>,
    codes: &[Uuid],
) -> Result<(), StoreError> {
    if codes.is_empty() {
        return Ok(());
    }
    let tx = db.write("take back rejections").await?;
    let accounts = store::mails::take_back_rejections(&tx, codes).await?;
    tx.commit().await?;
    watches.notify(&accounts);
    Ok(())
}
