//! The way to verification where no broker carries the event: one call that is safe to repeat, under
//! the event's own trace. `inline` awaits its mail, `background` does not.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kit::{
    Seldom,
    serve::{AdminToken, Client, Degraded, client},
};
use opentelemetry::{Context, trace::FutureExt as _};
use proto::verification::{
    IssueCodeRequest, MailState, verification_service_client::VerificationServiceClient,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue};

use super::{Created, Place, creation_span};

/// So long after a failure it counts as away, unless it answers: nobody may ask for hours.
const AWAY: Duration = Duration::from_secs(60);
/// How often a failure that goes on is logged.
const AGAIN: Duration = Duration::from_secs(60);

/// The news of one account, with all that outlives the transaction.
pub(super) struct Event {
    pub(super) request: IssueCodeRequest,
    /// Its creation's span.
    pub(super) creation: Context,
    _place: Place,
}

impl Event {
    pub(super) fn new(created: &Created, await_mail: AwaitMail) -> Self {
        let account = &created.account;
        Self {
            request: IssueCodeRequest {
                account_id: account.id.to_string(),
                email: account.email.clone(),
                display_name: account.display_name.clone(),
                locale: account.locale.clone(),
                account_created_at: Some(account.created_at.into()),
                await_mail: await_mail == AwaitMail::Yes,
            },
            creation: creation_span(created, []),
            _place: created.place.clone(),
        }
    }
}

/// Whether verification is to answer only once the mail's outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitMail {
    Yes,
    No,
}

/// Verification, asked as an operator. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Verifier {
    client: VerificationServiceClient<Client>,
    bearer: AsciiMetadataValue,
    failing: Arc<Mutex<Failing>>,
}

/// What is known of failures.
#[derive(Default)]
struct Failing {
    last: Option<(Code, Instant)>,
    told: Seldom<Code>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// The way to what is behind `url`, as whoever has `token`.
    ///
    /// # Errors
    /// When `url` is none.
    pub(crate) fn new(url: &str, token: &AdminToken) -> anyhow::Result<Self> {
        Ok(Self {
            client: VerificationServiceClient::new(client(url)?),
            bearer: token.bearer(),
            failing: Arc::default(),
        })
    }

    /// What is known of it when it cannot be used.
    pub(crate) fn away(&self) -> Option<Degraded> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, _) = failing.last.filter(|(_, at)| at.elapsed() < AWAY)?;
        let advice = "Bring verification back, or correct USHER_VERIFICATION_URL or the admin token, which both services share; \
             `usher doctor` says how verification is.";
        Some(Degraded::new(
            format!("did not take an account when it was last asked ({code:?})"),
            advice,
        ))
    }

    /// Asks once, until `limit`.
    pub(super) async fn issue_code(
        &self,
        event: &Event,
        limit: Instant,
    ) -> Result<MailState, Status> {
        let mut request = Request::new(event.request.clone());
        request.set_timeout(limit.saturating_duration_since(Instant::now()));
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        let mut client = self.client.clone();
        // The client's span is the creation's child, and travels in the metadata.
        let asked = client.issue_code(request);
        let asked = timeout_at(limit, asked.with_context(event.creation.clone()));
        let answer = match asked.await {
            Ok(answer) => answer.map(|answer| answer.into_inner().mail_state()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        };
        self.note(answer.as_ref().err());
        answer
    }

    fn note(&self, failure: Option<&Status>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(status) = failure else {
            *failing = Failing::default();
            return;
        };
        let code = status.code();
        failing.last = Some((code, Instant::now()));
        if failing.told.is_due(&code, AGAIN) {
            // Not the message: it is somebody else's.
            tracing::warn!(status = ?code, "Verification did not take an account; this is told once a minute.");
        }
    }
}
