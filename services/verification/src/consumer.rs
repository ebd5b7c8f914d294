//! The durable `verification` on stream ACCOUNTS: hears of new accounts and starts their verifications, a batch a
//! transaction. A message is acked once that is committed; the mail's retries are no business of the broker.

use std::{sync::Arc, time::Duration};

use kit::{
    bus::{Delivery, Durable, Verdict},
    clock::Timestamp,
};
use proto::{accounts::AccountCreated, streams};
use uuid::Uuid;

use crate::{
    commands::start_verifications::{NewVerification, StartVerificationError, StartVerifications},
    domain::Person,
};

/// How long a message is held before it is tried again while the database cannot be used.
const PAUSE: Duration = Duration::from_secs(1);

/// The handler of `AccountCreated`.
#[derive(Debug, Clone)]
pub(crate) struct NewAccounts {
    start_verifications: StartVerifications,
}

impl NewAccounts {
    pub(crate) fn new(start_verifications: StartVerifications) -> Self {
        Self {
            start_verifications,
        }
    }

    /// The durable, as it should be.
    pub(crate) fn durable() -> Durable {
        Durable {
            stream: streams::ACCOUNTS,
            name: "verification".to_owned(),
            filter: streams::ACCOUNTS.subjects[0].to_owned(), // an unknown event becomes a dead letter, not a gap
        }
    }

    /// Handles a batch and says what becomes of each message, in their order.
    pub(crate) async fn handle(self, batch: Arc<Vec<Delivery>>) -> Vec<Verdict> {
        let events: Vec<_> = batch.iter().map(decode).collect();
        let wanted: Vec<_> = events.iter().flatten().cloned().collect();
        let started = self.start_verifications.run(wanted).await;
        complain(&started);
        let mut started = started.iter(); // an answer for each event that could be decoded, in their order
        let mut verdicts = Vec::with_capacity(events.len());
        for event in events {
            verdicts.push(match event {
                Ok(_) => started.next().map_or(Verdict::Retry(PAUSE), verdict),
                Err(rejected) => rejected,
            });
        }
        verdicts
    }
}

/// Once for the batch: what is held comes again every second.
fn complain(started: &[Result<(), StartVerificationError>]) {
    let mut held = started.iter().filter_map(|started| match started {
        Err(StartVerificationError::Store(error)) => Some(error),
        _ => None,
    });
    if let Some(error) = held.next() {
        let messages = 1 + held.count();
        tracing::warn!(messages, %error, "Verifications could not be stored; the messages are held.");
    }
}

fn verdict(started: &Result<(), StartVerificationError>) -> Verdict {
    match started {
        Ok(()) => Verdict::Ack,
        Err(StartVerificationError::TooOld) => Verdict::Reject("too_old"),
        Err(StartVerificationError::Refused) => Verdict::Reject("refused_by_database"),
        Err(StartVerificationError::Store(_)) => Verdict::Retry(PAUSE),
    }
}

fn decode(delivery: &Delivery) -> Result<NewVerification, Verdict> {
    let event: AccountCreated = delivery.decode()?;
    let account_id = Uuid::try_parse(&event.account_id);
    let account_id = account_id.map_err(|_| Verdict::Reject("invalid_account_id"))?;
    let person = Person::parse(&event.email, &event.display_name, &event.locale);
    let created_at = event.created_at.as_ref().and_then(Timestamp::from_proto);
    Ok(NewVerification {
        account_id,
        person: person.map_err(|error| Verdict::Reject(error.0))?,
        account_created_at: created_at.ok_or(Verdict::Reject("invalid_created_at"))?,
        context: delivery.context.clone(),
    })
}
