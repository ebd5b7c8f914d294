//! The mailer as verification alone sees it: keeps the mails that it is given, and says that each
//! was accepted.

use std::net::SocketAddr;

use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use kit::testing::SOON;
use proto::mailer::{
    DeliverRequest, DeliverResponse, Hello, Mail, Outcome, PreviewRequest, PreviewResponse,
    Result as Answer,
    deliver_response::Message,
    mailer_service_server::{MailerService, MailerServiceServer},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

type Mails = watch::Sender<Vec<Mail>>;

/// The mailer; stopped when dropped.
pub(crate) struct Mailer {
    addr: SocketAddr,
    mails: Mails,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Mailer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mails = Mails::default();
        let service = MailerServiceServer::new(Service(mails.clone()));
        let server = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        Self {
            addr,
            mails,
            server: tokio::spawn(server),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits for the account's mail.
    pub(crate) async fn mail(&self, account_id: &str) -> Mail {
        let ours = |mail: &&Mail| mail.account_id == account_id;
        let mut mails = self.mails.subscribe();
        let arrived = mails.wait_for(|mails| mails.iter().any(|mail| ours(&mail)));
        let mails = timeout(SOON, arrived).await.expect("the mail arrives");
        mails.unwrap().iter().find(ours).unwrap().clone()
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service(Mails);

#[tonic::async_trait]
impl MailerService for Service {
    type DeliverStream = BoxStream<'static, Result<DeliverResponse, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let mails = self.0.clone();
        let hello = said(Message::Hello(Hello { window: 64 }));
        let accepted = request.into_inner().map_ok(move |request| {
            let mail = request.mail.unwrap_or_default();
            let answer = Answer {
                code_id: mail.code_id.clone(),
                outcome: Outcome::Accepted.into(),
                // A mailer that fails to redact.
                reason: format!("as told about {} and {}", mail.email, mail.digits),
                reached: true,
                ..Answer::default()
            };
            mails.send_modify(|mails| mails.push(mail));
            said(Message::Result(answer))
        });
        Ok(Response::new(
            stream::iter([Ok(hello)]).chain(accepted).boxed(),
        ))
    }

    async fn preview(
        &self,
        _: Request<PreviewRequest>,
    ) -> Result<Response<PreviewResponse>, Status> {
        Err(Status::unimplemented("this mailer only delivers"))
    }
}

fn said(message: Message) -> DeliverResponse {
    DeliverResponse {
        message: Some(message),
    }
}
