//! The public side: `stream` speaks the delivery protocol with each client, `decode` checks what it
//! brings and `encode` tells what became of it; here is the unary call. `admin` is the operators'
//! side, `status` the one place where errors become statuses.

mod admin;
mod decode;
mod encode;
mod status;
mod stream;

use std::sync::Arc;

use kit::{
    clock::Clock,
    db::Db,
    serve::{self, Stages},
};
use proto::mailer::{
    DeliverRequest, DeliverResponse, PreviewRequest, PreviewResponse,
    mailer_service_server::MailerService,
};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use self::admin::Admin;
use self::status::status;
use crate::commands::{deliver::Deliver, preview::preview};

/// `usher.mailer.v1.MailerService`.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) deliver: Arc<Deliver>,
    /// For what is refused, and for the sample's date.
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// Waits for streams.
    pub(crate) stages: Stages,
    /// Unanswered mails that a stream may hold.
    pub(crate) window: u32,
    /// Room for those of all streams: a stranger may open many.
    pub(crate) queue: Arc<Semaphore>,
}

#[tonic::async_trait]
impl MailerService for Public {
    type DeliverStream = ReceiverStream<Result<DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let ending = serve::ending(&request);
        Ok(Response::new(stream::open(
            self,
            request.into_inner(),
            ending,
        )))
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
