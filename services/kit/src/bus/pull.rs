//! Pulls what is there: a bundle as large as the load makes it, or, when nothing is there, the next
//! message alone. Nothing is fetched ahead, because a message's AckWait runs from the moment it
//! leaves the server. All answers come to one subscription that outlives the pulls, so that what
//! comes after its pull was given up is still handled.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use async_nats::{
    Message, StatusCode, Subject, Subscriber,
    jetstream::{self, consumer::pull::BatchConfig},
};
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::{
    connection::{Bus, PATIENCE},
    durable::Attached,
    held::HeldMessage,
    origin::Origin,
};
use crate::serve::beat;

/// How long a pull waits on the server for a message.
const IDLE: Duration = Duration::from_secs(5);

/// The receiving end of a durable's pulls.
pub(super) struct Puller {
    bus: Bus,
    origin: Arc<Origin>,
    inbox: String,
    answers: Subscriber,
    /// Pulls so far: each has a reply subject of its own.
    number: u64,
    /// Whether messages waited behind the last one: else a bundle is not worth asking for, and the
    /// next message is awaited at once.
    more_waits: bool,
}

impl Puller {
    pub(super) async fn new(bus: &Bus, origin: &Arc<Origin>) -> anyhow::Result<Self> {
        let client = bus.jetstream().client();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await;
        Ok(Self {
            bus: bus.clone(),
            origin: Arc::clone(origin),
            inbox,
            answers: answers.context("The answers to pulls cannot be subscribed to.")?,
            number: 0,
            more_waits: true,
        })
    }

    /// Whose messages it receives.
    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Up to `most` messages; none when nothing came for a while. What came late comes first.
    pub(super) async fn pull(
        &mut self,
        attached: &Attached,
        most: usize,
    ) -> anyhow::Result<Vec<HeldMessage>> {
        let late = self.late(most)?;
        if !late.is_empty() {
            return Ok(late);
        }
        if self.more_waits {
            let at_once = BatchConfig {
                batch: most,
                no_wait: true,
                ..BatchConfig::default()
            };
            let ready = self.ask(attached, at_once, Duration::ZERO).await?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            beat();
        }
        let next = BatchConfig {
            batch: 1,
            expires: Some(IDLE),
            ..BatchConfig::default()
        };
        self.ask(attached, next, IDLE).await
    }

    /// What the answers to earlier pulls have brought by now.
    fn late(&mut self, most: usize) -> anyhow::Result<Vec<HeldMessage>> {
        let mut late = Vec::new();
        while late.len() < most
            && let Some(Some(answer)) = self.answers.next().now_or_never()
        {
            if is_message(&answer) {
                late.push(self.held(answer)?);
            }
        }
        // As many as were wanted: there may be others.
        self.more_waits |= late.len() == most || late.last().is_some_and(|last| last.pending > 0);
        Ok(late)
    }

    /// Asks once, and collects until the answer is whole, or the server is silent for longer than
    /// any call may take.
    async fn ask(
        &mut self,
        attached: &Attached,
        what: BatchConfig,
        expires: Duration,
    ) -> anyhow::Result<Vec<HeldMessage>> {
        self.number += 1;
        let inbox = Subject::from(format!("{}.{}", self.inbox, self.number));
        let mut connections = self.bus.connections();
        connections.mark_unchanged();
        let (most, deadline) = (what.batch, Instant::now() + expires + PATIENCE);
        let asked = attached.consumer.request_batch(what, inbox.clone());
        timeout_at(deadline, asked).await??;
        let mut held = Vec::new();
        while held.len() < most {
            let answer = tokio::select! {
                biased;
                answer = timeout_at(deadline, self.answers.next()) => answer,
                _ = connections.changed() => break, // a new connection: the server has forgotten what was asked
            };
            match answer {
                Ok(Some(answer)) if is_message(&answer) => held.push(self.held(answer)?),
                Ok(Some(answer)) if answer.subject != inbox => {} // the end of an earlier one
                Ok(Some(answer)) if is_end(&answer) => break,
                Ok(Some(answer)) if held.is_empty() => bail!("{}", refusal(&answer)),
                Ok(None) if held.is_empty() => bail!("the connection is closed"),
                Err(_) if held.is_empty() => bail!("the broker does not answer a pull"),
                // What has come is kept when the rest fails.
                Ok(_) | Err(_) => break,
            }
        }
        self.more_waits = held.last().is_some_and(|last| last.pending > 0);
        Ok(held)
    }

    fn held(&self, message: Message) -> anyhow::Result<HeldMessage> {
        let context = self.bus.jetstream().clone();
        HeldMessage::new(jetstream::Message { message, context }, &self.origin)
    }
}

fn is_message(answer: &Message) -> bool {
    answer.status.is_none_or(|status| status == StatusCode::OK)
}

/// Whether a pull ended as it should: there is nothing more, or its time is over.
fn is_end(answer: &Message) -> bool {
    matches!(
        answer.status,
        Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT)
    )
}

fn refusal(answer: &Message) -> String {
    let status = answer.status.map(|status| status.as_u16());
    let why = answer.description.as_deref().unwrap_or_default();
    format!(
        "the broker refuses a pull: {} {why}",
        status.unwrap_or_default()
    )
}
