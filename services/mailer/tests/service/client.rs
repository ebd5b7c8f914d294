//! Who delivers mails to the mailer, and who looks at them.

use std::time::Duration;

use kit::{
    clock::{Clock, Timestamp},
    testing::SOON,
};
use proto::mailer::{
    DeliverRequest, DeliverResponse, ListMailsRequest, Mail, MailAttempt, Outcome,
    Result as MailResult, deliver_response::Message, mailer_admin_client::MailerAdminClient,
    mailer_service_client::MailerServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use uuid::Uuid;

use crate::world::Service;

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) MailerServiceClient<Channel>);

impl From<Channel> for Client {
    fn from(channel: Channel) -> Self {
        Self(MailerServiceClient::new(channel))
    }
}

/// A delivery stream, past its Hello.
pub(crate) struct Delivery {
    pub(crate) window: u32,
    requests: mpsc::Sender<DeliverRequest>,
    responses: Streaming<DeliverResponse>,
}

impl Client {
    pub(crate) async fn open(mut self) -> Delivery {
        let (requests, receiver) = mpsc::channel(4_096);
        let responses = self.0.deliver(ReceiverStream::new(receiver)).await;
        let mut delivery = Delivery {
            window: 0,
            requests,
            responses: responses.unwrap().into_inner(),
        };
        let Some(Message::Hello(hello)) = delivery.next().await else {
            panic!("Hello comes first")
        };
        delivery.window = hello.window;
        delivery
    }
}

impl Delivery {
    pub(crate) async fn offer(&self, mail: Mail) {
        self.requests
            .send(DeliverRequest { mail: Some(mail) })
            .await
            .unwrap();
    }

    /// What the mailer says next; `None` when the stream has ended with OK.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(SOON, self.responses.message())
            .await
            .expect("the mailer says something");
        next.unwrap().map(|response| response.message.unwrap())
    }

    /// The next result; pauses in between are passed over.
    pub(crate) async fn result(&mut self) -> MailResult {
        loop {
            match self.next().await {
                Some(Message::Result(result)) => return result,
                Some(Message::Pause(_) | Message::TakenBack(_)) => {}
                other => panic!("expected a result, got {other:?}"),
            }
        }
    }

    /// The next result of a stream that may end: what is no result is passed over.
    pub(crate) async fn result_or_end(&mut self) -> Option<MailResult> {
        loop {
            if let Message::Result(result) = self.next().await? {
                return Some(result);
            }
        }
    }

    pub(crate) async fn deliver(&mut self, mail: Mail) -> MailResult {
        self.offer(mail).await;
        self.result().await
    }

    /// Delivers again until the mail is no longer in flight, as verification does.
    pub(crate) async fn insist(&mut self, mail: &Mail) -> MailResult {
        loop {
            let result = self.deliver(mail.clone()).await;
            match result.outcome() {
                Outcome::InFlight => wait_as_told(&result).await,
                _ => return result,
            }
        }
    }

    /// Says that no more mails come.
    pub(crate) fn finish(self) -> Streaming<DeliverResponse> {
        self.responses
    }
}

/// Waits for as long as an IN_FLIGHT says, as verification does.
pub(crate) async fn wait_as_told(result: &MailResult) {
    let after = Duration::try_from(
        result
            .retry_after
            .expect("IN_FLIGHT says when to ask again"),
    );
    tokio::time::sleep(after.expect("it is no negative time")).await;
}

/// A mail with a key of its own.
pub(crate) fn mail(email: &str) -> Mail {
    let now = Clock::default().now();
    Mail {
        code_id: Uuid::new_v4().to_string(),
        account_id: Uuid::new_v4().to_string(),
        email: email.to_owned(),
        display_name: "Ada".to_owned(),
        locale: "en".to_owned(),
        digits: "13572468".to_owned(),
        expires_at: Some(Timestamp::into(now + Duration::from_secs(24 * 60 * 60))),
        attempt: 1,
        traceparent: String::new(),
        tracestate: String::new(),
    }
}

/// The same mail, offered once more.
pub(crate) fn again(mail: &Mail) -> Mail {
    Mail {
        attempt: mail.attempt + 1,
        ..mail.clone()
    }
}

/// The Message-ID of a mail that arrived.
pub(crate) fn message_id(bytes: &[u8]) -> String {
    mail_parser::MessageParser::default()
        .parse(bytes)
        .unwrap()
        .message_id()
        .unwrap()
        .to_owned()
}

/// All attempts as operators see them, newest first.
pub(crate) async fn attempts(service: &Service) -> Vec<MailAttempt> {
    let all = ListMailsRequest {
        page_size: 500,
        ..ListMailsRequest::default()
    };
    let mut admin = service.admin(MailerAdminClient::new);
    let listed = admin.list_mails(service.as_operator(all)).await;
    listed.unwrap().into_inner().attempts
}
