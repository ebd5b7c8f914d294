//! Shows an account as it is and again after each change: `verify_accounts` notifies, a query a
//! second finds what another replica did.

use std::time::Duration;

use futures::Stream;
use kit::{db::Db, watch::Watches};
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Account, Status,
    get_account::{GetAccountError, get_account},
};
use crate::store::accounts;

const POLL: Duration = Duration::from_secs(1);

/// The account's versions, until it is verified or `ending`. What fails later is the stream's last
/// item.
pub(crate) async fn watch_account(
    db: Db,
    watches: &Watches<Uuid>,
    id: Uuid,
    ending: CancellationToken,
) -> Result<impl Stream<Item = Result<Account, GetAccountError>> + Send + use<>, GetAccountError> {
    // Asked once before: a stream of a row that does not exist would be silent for ever.
    get_account(&db, id).await?;
    let read = move || {
        let db = db.clone();
        async move {
            let account = get_account(&db, id).await?;
            Ok(Some((version(&account), account)))
        }
    };
    Ok(watches.stream(
        id,
        read,
        |account| account.status == Status::Verified,
        ending,
    ))
}

/// Finds what other replicas changed, until `stop`.
pub(crate) async fn run(db: Db, watches: Watches<Uuid>, stop: CancellationToken) {
    let versions = |ids: Vec<Uuid>| {
        let db = db.clone();
        async move {
            let accounts = accounts::by_ids(db.reader(), ids).await?;
            Ok::<_, DbErr>(
                accounts
                    .iter()
                    .map(|account| (account.id, version(account)))
                    .collect(),
            )
        }
    };
    watches.run(POLL, versions, stop).await;
}

/// All that changes in an account is its status, once.
fn version(account: &Account) -> i64 {
    match account.status {
        Status::Pending => 1,
        Status::Verified => 2,
    }
}
