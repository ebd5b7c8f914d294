//! Shows a verification as it is and again after each change: commands notify, a query a second
//! finds what another replica did.

use std::time::Duration;

use futures::Stream;
use kit::{
    db::{Db, StoreError},
    watch::Watches,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::get_verification::{GetVerificationError, ShownVerification, read};
use crate::store;

const POLL: Duration = Duration::from_secs(1);

/// The verification's versions, until it is verified or `ending`; none before it has begun. An error
/// is the stream's last item.
pub(crate) fn watch_verification(
    db: Db,
    watches: &Watches<Uuid>,
    account_id: Uuid,
    ending: CancellationToken,
) -> impl Stream<Item = Result<ShownVerification, GetVerificationError>> + Send + use<> {
    let read = move || {
        let db = db.clone();
        async move { Ok(read(&db, account_id).await.map_err(StoreError::from)?) }
    };
    watches.stream(
        account_id,
        read,
        |shown: &ShownVerification| shown.verified_at.is_some(),
        ending,
    )
}

/// Finds what other replicas changed, until `stop`.
pub(crate) async fn run(db: Db, watches: Watches<Uuid>, stop: CancellationToken) {
    let versions = |accounts: Vec<Uuid>| {
        let db = db.clone();
        async move { store::codes::versions(db.reader(), accounts).await }
    };
    watches.run(POLL, versions, stop).await;
}
