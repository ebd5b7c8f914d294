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
    commands::{Commands, NewVerification, StartError, Started},
    domain::person::Person,
};

/// How long a batch is held before it is tried again while the database cannot be used.
const PAUSE: Duration = Duration::from_secs(1);

/// The durable, as it should be.
pub(crate) fn durable() -> Durable {
    Durable {
        stream: streams::ACCOUNTS,
        name: "verification".to_owned(),
        filter: streams::ACCOUNTS.subjects[0].to_owned(), // whatever is not known becomes a dead letter, not a gap
    }
}

/// Handles a batch and says what becomes of each message, in their order.
pub(crate) async fn handle(commands: Commands, batch: Arc<Vec<Delivery>>) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = Vec::with_capacity(batch.len());
    let mut places = Vec::with_capacity(batch.len());
    let mut wanted = Vec::with_capacity(batch.len());
    for (place, delivery) in batch.iter().enumerate() {
        match decode(delivery) {
            Ok(new) => {
                places.push(place);
                wanted.push(new);
                verdicts.push(None);
            }
            Err(verdict) => verdicts.push(Some(verdict)),
        }
    }
    for (place, verdict) in places.into_iter().zip(start(&commands, wanted).await) {
        verdicts[place] = Some(verdict);
    }
    verdicts
        .into_iter()
        .map(|verdict| verdict.unwrap_or(Verdict::Retry(PAUSE)))
        .collect()
}

/// All together; one by one only when the database refuses what one of them says.
async fn start(commands: &Commands, wanted: Vec<NewVerification>) -> Vec<Verdict> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let single = wanted.len() == 1;
    match commands.start_verifications(wanted.clone()).await {
        Ok(started) => started.into_iter().map(verdict).collect(),
        Err(StartError::Refused(_)) if !single => {
            let mut verdicts = Vec::with_capacity(wanted.len());
            for new in wanted {
                verdicts.extend(Box::pin(start(commands, vec![new])).await);
            }
            verdicts
        }
        Err(StartError::Refused(_)) => vec![Verdict::Reject("refused_by_database")],
        Err(StartError::Unavailable(error)) => {
            let messages = wanted.len();
            tracing::warn!(messages, %error, "Verifications could not be stored; the messages are held.");
            vec![Verdict::Retry(PAUSE); messages]
        }
    }
}

fn verdict(started: Started) -> Verdict {
    match started {
        Started::Stored => Verdict::Ack,
        Started::TooOld => Verdict::Reject("too_old"),
    }
}

fn decode(delivery: &Delivery) -> Result<NewVerification, Verdict> {
    let AccountCreated {
        account_id,
        email,
        display_name,
        locale,
        created_at,
    } = delivery.decode()?;
    let account_id =
        Uuid::try_parse(&account_id).map_err(|_| Verdict::Reject("invalid_account_id"))?;
    let person =
        Person::parse(&email, &display_name, &locale).map_err(|error| Verdict::Reject(error.0))?;
    let created_at = created_at.as_ref().and_then(Timestamp::from_proto);
    let account_created_at = created_at.ok_or(Verdict::Reject("invalid_created_at"))?;
    Ok(NewVerification {
        account_id,
        person,
        account_created_at,
        context: delivery.context.clone(),
    })
}
