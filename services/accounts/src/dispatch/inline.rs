//! The dispatcher that waits: after the commit it asks verification and answers once the mail's
//! outcome is known, or its caller's time is nearly over. A crash between commit and call loses the
//! event, and the same request under its idempotency key brings it back.

use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use kit::db::Tx;
use proto::verification::MailState;
use sea_orm::DbErr;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Created, EventDispatcher, MailOutcome, Pending, Place, Places, Verifier,
    verifier::{AwaitMail, Event},
};

/// So long before its deadline a caller is answered, so that the answer arrives.
const ANSWERING: Duration = Duration::from_millis(250);
/// And no longer than this after a stop began: the listener closes its connections a little later.
const STOPPING: Duration = Duration::from_secs(4);
/// Waits between calls that failed, the first and the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Events by a call that is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Inline {
    verifier: Verifier,
    places: Places,
    stop: CancellationToken,
}

impl Inline {
    /// Events go to `verifier`, so many at once; fewer wait from `stop` on.
    pub(crate) fn new(verifier: Verifier, at_once: usize, stop: CancellationToken) -> Self {
        Self {
            verifier,
            places: Places::new(at_once),
            stop,
        }
    }

    fn pending(&self, created: &Created) -> Pending {
        let (this, event) = (self.clone(), Event::new(created, AwaitMail::Yes));
        let limit = created.deadline - ANSWERING;
        Pending::new(async move {
            let stopped = async {
                this.stop.cancelled().await;
                sleep(STOPPING).await;
            };
            tokio::select! {
                outcome = this.ask(&event, limit) => outcome,
                () = stopped => MailOutcome::Unknown,
            }
        })
    }

    async fn ask(&self, event: &Event, limit: Instant) -> MailOutcome {
        let ask = || self.verifier.issue_code(event, limit);
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(SHORTEST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .without_max_times();
        let asked = ask.retry(waits).when(may_pass);
        match timeout_at(limit, asked).await {
            Ok(Ok(state)) => outcome(state),
            Ok(Err(_)) | Err(_) => MailOutcome::Unknown,
        }
    }
}

#[async_trait]
impl EventDispatcher for Inline {
    fn reserve(&self) -> Option<Place> {
        self.places.take()
    }

    async fn record(&self, _: &Tx, created: &[Created]) -> Result<Vec<Pending>, DbErr> {
        let pending = created.iter().map(|created| self.pending(created));
        Ok(pending.collect())
    }

    fn repeat(&self, created: &Created) -> Option<Pending> {
        // It was lost, or nobody knows: verification does.
        Some(self.pending(created))
    }
}

/// Whether the same call may succeed while its caller still waits. Repeating it has no second
/// effect, so that it does not matter whether the first one had any.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal
            | Code::Unknown
    )
}

fn outcome(state: MailState) -> MailOutcome {
    match state {
        MailState::Accepted => MailOutcome::Accepted,
        MailState::Pending => MailOutcome::Pending,
        MailState::Rejected => MailOutcome::Rejected,
        // Given up, ended with its code, or a word that a newer verification has for it.
        MailState::Undelivered | MailState::Obsolete | MailState::Unspecified => {
            MailOutcome::Unknown
        }
    }
}
