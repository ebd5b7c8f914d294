//! The public side: `stream` speaks the delivery protocol with each client, `decode` checks what it
//! brings and `encode` tells what became of it; here is the unary call. `admin` is the operators'
//! side, `status` the one place where errors become statuses.

mod admin;
mod decode;
mod encode;
mod status;
mod stream;

use std::{sync::Arc, time::Duration};

use kit::{clock::Clock, db::Db, serve::Stages};
use proto::mailer::{
    DeliverRequest, DeliverResponse, PreviewRequest, PreviewResponse,
    mailer_service_server::MailerService,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use self::admin::Admin;
use self::status::status;
use crate::commands::{deliver::Deliver, preview::preview};

/// How streams are kept.
#[derive(Debug, Clone)]
pub(crate) struct StreamRules {
    /// Unanswered mails that one may hold.
    pub(crate) window: u32,
    /// It is ended at that age, so that clients spread over new replicas.
    pub(crate) age: Duration,
}

/// `usher.mailer.v1.MailerService`.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) deliver: Arc<Deliver>,
    /// For what is refused, and for the sample's date.
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// Stops streams, and waits for them.
    pub(crate) stages: Stages,
    pub(crate) rules: StreamRules,
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
        let PreviewRequest {
            locale,
            display_name,
        } = request.into_inner();
        let (composer, now) = (&self.deliver.composer, self.clock.now());
        let previewed = preview(composer, &locale, &display_name, now);
        let (language, rendered) = previewed.map_err(status)?;
        Ok(Response::new(PreviewResponse {
            locale: language.tag().to_owned(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }))
    }
}
