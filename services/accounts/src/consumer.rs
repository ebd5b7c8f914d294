//! The durable `accounts` on stream VERIFICATION: hears that codes were confirmed and turns their accounts verified,
//! a batch a transaction. A message is acked once that is committed.

use std::{sync::Arc, time::Duration};

use kit::{
    bus::{Delivery, Durable, Verdict},
    clock::Timestamp,
    db::{Db, StoreError},
    watch::Watches,
};
use proto::{streams, verification::AccountVerified};
use uuid::Uuid;

use crate::commands::verify_accounts::verify_accounts;

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
            filter: streams::VERIFICATION.subjects[0].to_owned(), // an unknown event becomes a dead letter, not a gap
        }
    }

    /// Handles a batch and says what becomes of each message, in their order.
    ///
    /// An event of an account that does not exist is rejected: it can be repaired from its dead letter once the account
    /// is back from a backup, and nothing could be done with it here.
    pub(crate) async fn handle(self, batch: Arc<Vec<Delivery>>) -> Vec<Verdict> {
        let events: Vec<_> = batch.iter().map(decode).collect();
        let confirmed: Vec<_> = events.iter().flatten().copied().collect();
        let unknown = match verify_accounts(&self.db, &self.watches, &confirmed).await {
            Ok(unknown) => unknown,
            Err(error) => return hold(batch.len(), &error),
        };
        let mut verdicts = Vec::with_capacity(events.len());
        for event in events {
            verdicts.push(match event {
                Ok((account_id, _)) if unknown.contains(&account_id) => {
                    Verdict::Reject("unknown_account")
                }
                Ok(_) => Verdict::Ack,
                Err(rejected) => rejected,
            });
        }
        verdicts
    }
}

fn hold(messages: usize, error: &StoreError) -> Vec<Verdict> {
    let pause = match error {
        StoreError::Unavailable(_) => PAUSE,
        StoreError::Unexpected(_) => LONG_PAUSE,
    };
    tracing::warn!(messages, %error, "Accounts could not be verified; the messages are held.");
    vec![Verdict::Retry(pause); messages]
}

fn decode(delivery: &Delivery) -> Result<(Uuid, Timestamp), Verdict> {
    let event: AccountVerified = delivery.decode()?;
    let account_id = Uuid::try_parse(&event.account_id).ok();
    let verified_at = event.verified_at.as_ref().and_then(Timestamp::from_proto);
    account_id
        .zip(verified_at)
        .ok_or(Verdict::Reject("invalid_fields"))
}
