//! The durable `accounts` on stream VERIFICATION: hears that codes were confirmed and turns their
//! accounts verified, a batch a transaction. A message is acked once that is committed.

use std::sync::Arc;

use kit::{
    bus::{Delivery, Durable, Reason, Verdict, verdicts},
    clock::Timestamp,
    serve::parse_uuid,
};
use proto::{streams, verification::AccountVerified};

use crate::commands::verify_accounts::{Confirmation, VerifyAccounts};

/// The handler of `AccountVerified`.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) verify_accounts: VerifyAccounts,
}

impl Verified {
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
        let answers = self.verify_accounts.run(told).await;
        verdicts(&answers, "Confirmations")
    }
}

fn decode(delivery: &Delivery) -> Result<Confirmation, Reason> {
    let event: AccountVerified = delivery.decode()?;
    let account_id = parse_uuid(&event.account_id).ok();
    let verified_at = event.verified_at.as_ref().and_then(Timestamp::from_proto);
    account_id.zip(verified_at).ok_or("invalid_fields")
}
