//! The mailer's gRPC services: `stream` speaks the delivery protocol for each client, `decode` checks what it brings;
//! here are the unary calls and the operators' service.

mod decode;
mod stream;

use std::{sync::Arc, time::Duration};

use kit::{
    clock::Clock,
    db::{Db, is_away},
    serve::{Stages, invalid_argument, unavailable},
};
use proto::mailer::{
    DeliverRequest, DeliverResponse, ListMailsRequest, ListMailsResponse, MailAttempt,
    Outcome as ProtoOutcome, PreviewRequest, PreviewResponse, mailer_admin_server::MailerAdmin,
    mailer_service_server::MailerService,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    commands::{
        deliver::Mailer,
        list_mails::{Attempt, ListMails, ListMailsError},
        preview::Preview,
    },
    domain::{DisplayName, LocaleTag, Outcome},
};

/// How streams are kept.
#[derive(Debug, Clone)]
pub(crate) struct StreamRules {
    /// Unanswered mails that one may hold.
    pub(crate) window: u32,
    /// It is ended at that age, so that clients spread over new replicas.
    pub(crate) age: Duration,
    /// What has not ended that long after a stop is cut.
    pub(crate) grace: Duration,
}

/// `MailerService`.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    /// The commands.
    pub(crate) mailer: Arc<Mailer>,
    /// For the sample's date.
    pub(crate) clock: Clock,
    /// Stops streams.
    pub(crate) stages: Stages,
    /// How streams are kept.
    pub(crate) rules: StreamRules,
}

/// `MailerAdmin`.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    /// Where the attempts are.
    pub(crate) db: Db,
}

#[tonic::async_trait]
impl MailerService for Public {
    type DeliverStream = ReceiverStream<Result<DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        Ok(Response::new(stream::open(self, request.into_inner())))
    }

    async fn preview(
        &self,
        request: Request<PreviewRequest>,
    ) -> Result<Response<PreviewResponse>, Status> {
        let request = request.into_inner();
        let name = DisplayName::parse(&request.display_name)
            .map_err(|why| invalid_argument(&[("display_name", why.to_string())]))?;
        let locale = LocaleTag::new(&request.locale);
        let preview = Preview {
            locale,
            name,
            now: self.clock.now(),
        };
        let rendered = self
            .mailer
            .preview(&preview)
            .map_err(|error| unexpected(&error))?;
        Ok(Response::new(PreviewResponse {
            locale: preview.locale.language().tag().to_owned(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }))
    }
}

#[tonic::async_trait]
impl MailerAdmin for Admin {
    async fn list_mails(
        &self,
        request: Request<ListMailsRequest>,
    ) -> Result<Response<ListMailsResponse>, Status> {
        let request = request.into_inner();
        let page = ListMails::parse(request.page_size, &request.page_token, &request.code_id);
        let page = page.map_err(status)?.run(&self.db).await.map_err(status)?;
        let attempts = page.attempts.into_iter().map(encode).collect();
        Ok(Response::new(ListMailsResponse {
            attempts,
            next_page_token: page.next,
        }))
    }
}

/// The one place where errors become statuses.
fn status(error: ListMailsError) -> Status {
    match error {
        ListMailsError::Invalid(field, why) => invalid_argument(&[(field, why.to_owned())]),
        ListMailsError::Unexpected(error) if is_away(&error) => {
            unavailable("The mailer's database does not answer.")
        }
        ListMailsError::Unexpected(error) => unexpected(&error.into()),
    }
}

fn unexpected(error: &anyhow::Error) -> Status {
    tracing::error!(
        error = format!("{error:#}"),
        "A request failed for a reason of our own."
    );
    Status::internal("The mailer failed; its log says why.")
}

fn encode(attempt: Attempt) -> MailAttempt {
    let outcome = Outcome::parse(&attempt.outcome).map_or(ProtoOutcome::Unspecified, outcome);
    MailAttempt {
        code_id: attempt.code_id.to_string(),
        account_id: attempt.account_id.to_string(),
        attempt: u32::try_from(attempt.attempt).unwrap_or(0),
        outcome: outcome.into(),
        reply: attempt.reply,
        at: Some(attempt.ended_at.into()),
        trace_id: attempt.trace_id,
    }
}

fn outcome(outcome: Outcome) -> ProtoOutcome {
    match outcome {
        Outcome::Accepted => ProtoOutcome::Accepted,
        Outcome::Unavailable => ProtoOutcome::Unavailable,
        Outcome::Rejected => ProtoOutcome::Rejected,
        Outcome::Invalid => ProtoOutcome::Invalid,
        Outcome::Unknown => ProtoOutcome::Unknown,
    }
}
