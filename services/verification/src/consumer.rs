//! The durable `verification` on stream ACCOUNTS: hears of new accounts and starts their
//! verifications, a batch a transaction. A message is acked once that is committed; the mail's
//! retries are no business of the broker.

use std::sync::Arc;

use kit::{
    bus::{Delivery, Durable, Reason, Verdict, verdicts},
    clock::Timestamp,
    fail_point,
    serve::parse_uuid,
};
use proto::{accounts::AccountCreated, streams};

use crate::{
    commands::{
        NewVerification,
        start_verifications::{StartVerifications, Told},
    },
    delivery::Queue,
    domain::{InvalidPerson, Person, Turn},
};

/// The handler of `AccountCreated`.
#[derive(Debug, Clone)]
pub(crate) struct NewAccounts {
    pub(crate) start_verifications: StartVerifications,
    /// To the delivery.
    pub(crate) queue: Queue,
}

impl NewAccounts {
    /// The durable, as it should be.
    pub(crate) fn durable() -> Durable {
        Durable {
            stream: streams::ACCOUNTS,
            name: "verification".to_owned(),
            // All of them: an unknown event becomes a dead letter, not a gap.
            filter: streams::ACCOUNTS.subjects[0].to_owned(),
        }
    }

    /// Handles a batch and says what becomes of each message, in their order.
    pub(crate) async fn handle(self, batch: Arc<Vec<Delivery>>) -> Vec<Verdict> {
        // Before the rows are made: one is born claimed only if its mail is going to be handed
        // over.
        let room = self.queue.reserve(Turn::First, batch.len());
        let mut told = Vec::with_capacity(batch.len());
        for (place, delivery) in batch.iter().enumerate() {
            told.push(Told {
                delivery: delivery.clone(),
                // What cannot be decoded goes along: its dead letter commits with the others' work.
                new: decode(delivery),
                has_room: place < room.len(),
            });
        }
        let answers = self.start_verifications.run(told).await;
        let (mut settled, mut mails) = (Vec::with_capacity(batch.len()), Vec::new());
        for answer in answers {
            settled.push(answer.map(|started| {
                mails.extend(started.mail);
                started.settled
            }));
        }
        fail_point!("verification/committed");
        // Only now: before the commit, a mail could leave whose code does not exist.
        self.queue.hand_over(mails, room);
        verdicts(&settled, "Verifications")
    }
}

fn decode(delivery: &Delivery) -> Result<NewVerification, Reason> {
    let event: AccountCreated = delivery.decode()?;
    let account_id = parse_uuid(&event.account_id);
    let person = Person::parse(&event.email, &event.display_name, &event.locale);
    let created_at = event.created_at.as_ref().and_then(Timestamp::from_proto);
    Ok(NewVerification {
        account_id: account_id.map_err(|_| "invalid_account_id")?,
        person: person.map_err(InvalidPerson::reason)?,
        account_created_at: created_at.ok_or("invalid_created_at")?,
    })
}
