//! The durable `accounts` on stream VERIFICATION: hears that codes were confirmed and turns their
//! accounts verified, a batch a transaction. A message is acked once that is committed.

use std::{sync::Arc, time::Duration};

use kit::{
    bus::{Delivery, Durable, Reason, Verdict},
    clock::Timestamp,
    db::{Db, StoreError},
    group::{Batch, together},
    watch::Watches,
};
use proto::{streams, verification::AccountVerified};
use uuid::Uuid;

use crate::commands::verify_accounts::{Confirmation, Told, verify_accounts};

/// How long a batch is held before it is tried again while the database is away.
const PAUSE: Duration = Duration::from_secs(1);
/// The same after an error that will hardly go away by itself.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// The handler of `AccountVerified`.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    db: Db,
    watches: Watches<Uuid>,
}

impl Verified {
    pub(crate) fn new(db: Db, watches: Watches<Uuid>) -> Self {
        Self { db, watches }
    }

    /// The durable, as it should be.
    pub(crate) fn durable() -> Durable {
        Durable {
            stream: streams::VERIFICATION,
            name: "accounts".to_owned(),
            // All of them: an unknown event becomes a dead letter, not a gap.
            filter: streams::VERIFICATION.subjects[0].to_owned(),
        }
    }

    /// Handles a batch and says what becomes of each message, in their order.
    pub(crate) async fn handle(self, batch: Arc<Vec<Delivery>>) -> Vec<Verdict> {
        let mut told = Vec::with_capacity(batch.len());
        for delivery in batch.iter() {
            // What cannot be decoded goes along: its dead letter commits with the others' work.
            told.push((delivery.clone(), decode(delivery)));
        }
        let verify = async |told: Batch<Told>| {
            let settled = verify_accounts(&self.db, &self.watches, &told).await?;
            Ok(settled.into_iter().map(Verdict::Settled).collect())
        };
        together(Batch::from(told), verify, failed).await
    }
}

/// What becomes of a message whose transaction failed.
fn failed(error: &StoreError) -> Verdict {
    let pause = match error {
        StoreError::Unexpected(cause) if kit::db::refuses_data(cause) => {
            // It would be refused again, and hold up all that follows.
            return Verdict::Reject("refused_by_database");
        }
        StoreError::Unavailable(_) => PAUSE,
        // A bug or a missing table: somebody has to do something, and the message must outlast it.
        StoreError::Unexpected(_) => LONG_PAUSE,
    };
    tracing::warn!(%error, "An account could not be verified; its message is held.");
    Verdict::Retry(pause)
}

fn decode(delivery: &Delivery) -> Result<Confirmation, Reason> {
    let event: AccountVerified = delivery.decode()?;
    let account_id = Uuid::try_parse(&event.account_id).ok();
    let verified_at = event.verified_at.as_ref().and_then(Timestamp::from_proto);
    account_id.zip(verified_at).ok_or("invalid_fields")
}
