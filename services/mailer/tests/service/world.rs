//! The parts around the mailer that a test needs, the mailer itself, and who delivers to it.

use std::{ops::Deref, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    testing::{self, SOON, Settings, SmtpServer},
};
use mailer::{app::App, config::Config, migrations::Migrator};
use proto::mailer::{
    DeliverRequest, DeliverResponse, ListMailsRequest, Mail, MailAttempt, Outcome,
    Result as MailResult, deliver_response::Message, mailer_admin_client::MailerAdminClient,
    mailer_service_client::MailerServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use uuid::Uuid;

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

/// Settings of all tests: nobody waits long for a mail server that misbehaves.
const QUICK: [(&str, &str); 11] = [
    ("USHER_MAIL_FROM", "Usher <usher@usher.example>"),
    ("USHER_MAIL_CONNECT_DEADLINE", "500ms"),
    ("USHER_MAIL_TLS_DEADLINE", "500ms"),
    ("USHER_MAIL_GREETING_DEADLINE", "500ms"),
    ("USHER_MAIL_COMMAND_DEADLINE", "500ms"),
    ("USHER_MAIL_DATA_DEADLINE", "500ms"),
    ("USHER_MAIL_REPLY_DEADLINE", "500ms"),
    ("USHER_MAIL_FIRST_PAUSE", "150ms"),
    ("USHER_MAIL_LONGEST_PAUSE", "300ms"),
    ("USHER_MAIL_LEASE", "1s"),
    ("USHER_MAIL_STOP_GRACE", "300ms"),
];

/// Where mails go, and what all services stand on.
pub(crate) struct World {
    mail_url: String,
    ground: testing::World,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.ground
    }
}

impl World {
    pub(crate) fn before(server: &SmtpServer) -> Self {
        Self::sending_to(&server.url())
    }

    pub(crate) fn sending_to(mail_url: &str) -> Self {
        Self {
            mail_url: mail_url.to_owned(),
            ground: testing::World::on_sqlite(),
        }
    }

    pub(crate) async fn on_postgres(name: &str, server: &SmtpServer) -> Option<Self> {
        let ground = testing::World::on_postgres::<Migrator>(name).await?;
        Some(Self {
            ground,
            ..Self::before(server)
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        let keys = self.file("address-keys").display().to_string();
        let more = [
            ("USHER_MAIL_URL", &*self.mail_url),
            ("USHER_ADDRESS_KEY_FILE", &keys),
        ];
        self.ground.settings().with(&QUICK).with(&more)
    }

    pub(crate) async fn start(&self) -> Service {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(&self, more: &[(&str, &str)]) -> Service {
        let settings = self.settings().with(more);
        let config: Config = settings.config();
        let app = App::build(config, self.clock.clone()).await.unwrap();
        Service::start(&settings, [app.addr(), app.admin_addr()], |shutdown| {
            app.run_until(shutdown)
        })
    }

    /// Two replicas.
    pub(crate) async fn pair(&self) -> [Service; 2] {
        [self.start().await, self.start().await]
    }

    /// The mailer as a process of its own.
    pub(crate) async fn process(&self, more: &[(&str, &str)]) -> Process {
        Process::start(env!("CARGO_BIN_EXE_mailer"), &self.settings().with(more)).await
    }
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

/// A caller.
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
                Some(Message::Pause(_)) => {}
                other => panic!("expected a result, got {other:?}"),
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
