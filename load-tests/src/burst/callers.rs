//! Those who sign up in a burst: each repeats a call that was refused once the hint says so, and one
//! that was not answered soon, under one idempotency key.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use kit::serve::Channel;
use proto::accounts::accounts_service_client::AccountsServiceClient;
use tokio::time::sleep;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{load::channel, people::People};

/// Whoever waits longer for an answer asks again.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(200);
/// So many times at most, each after what the hint says.
const TIMES: usize = 10_000;

pub(super) struct Callers {
    pub(super) people: People,
    pub(super) accounts: u64,
    pub(super) at_once: usize,
    pub(super) connections: usize,
}

/// What they were answered so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    without_hint: AtomicU64,
    unanswered: AtomicU64,
}

impl Callers {
    /// Lets all of them sign up, and returns when the last one was answered.
    pub(super) async fn call(&self, urls: &[String], counts: &Counts) -> anyhow::Result<()> {
        let channels = urls.iter().cycle().take(self.connections.max(1));
        let channels = channels.map(|url| channel(url));
        let channels = channels.collect::<anyhow::Result<Vec<_>>>()?;
        let each = (0..self.accounts).zip(channels.iter().cycle());
        let calls = each.map(|(number, channel)| self.sign_up(channel, number, counts));
        stream::iter(calls)
            .buffer_unordered(self.at_once)
            .for_each(async |()| {})
            .await;
        Ok(())
    }

    async fn sign_up(&self, channel: &Channel, number: u64, counts: &Counts) {
        let (sign_up, key) = (
            self.people.sign_up(number),
            self.people.idempotency_key(number),
        );
        let mut accounts = AccountsServiceClient::new(channel.clone());
        for _ in 0..TIMES {
            let mut request = Request::new(sign_up.clone());
            request.set_timeout(PATIENCE);
            let metadata = request.metadata_mut();
            metadata.insert("idempotency-key", key.clone());
            match accounts.create_account(request).await {
                Ok(_) => {
                    counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(status) => sleep(counts.note(&status)).await,
            }
        }
    }
}

impl Counts {
    /// Counts an answer that was none, and says how long to wait then.
    fn note(&self, status: &Status) -> Duration {
        if status.code() != Code::ResourceExhausted {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            return AGAIN;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let details = status.get_error_details();
        let hint = details.retry_info().and_then(|info| info.retry_delay);
        hint.unwrap_or_else(|| {
            self.without_hint.fetch_add(1, Ordering::Relaxed);
            AGAIN
        })
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn without_hint(&self) -> u64 {
        self.without_hint.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (acknowledged, refused) = (self.acknowledged(), self.refused());
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        write!(
            f,
            "{acknowledged} acknowledged, {refused} times refused, {unanswered} times not answered"
        )
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_waited_out_as_it_says_and_one_without_a_hint_is_counted() {
        let counts = Counts::default();
        let hint = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let full = Status::with_error_details(Code::ResourceExhausted, "full", hint);
        assert_eq!(counts.note(&full), Duration::from_secs(3));
        assert_eq!((counts.refused(), counts.without_hint()), (1, 0));
        assert_eq!(counts.note(&Status::resource_exhausted("full")), AGAIN);
        assert_eq!((counts.refused(), counts.without_hint()), (2, 1));
        counts.note(&Status::unavailable("away"));
        assert_eq!((counts.refused(), counts.without_hint()), (2, 1));
    }
}
