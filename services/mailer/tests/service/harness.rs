//! A mailer on free ports with short deadlines, and a client that speaks the delivery protocol.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use kit::{
    clock::{Clock, Timestamp},
    config::from_pairs,
    testing::SmtpServer,
};
use mailer::{app::App, config::Config};
use proto::mailer::{
    DeliverRequest, DeliverResponse, ListMailsRequest, Mail, MailAttempt, Outcome,
    Result as MailResult, deliver_response::Message, mailer_admin_client::MailerAdminClient,
    mailer_service_client::MailerServiceClient,
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, transport::Channel};
use uuid::Uuid;

/// Nothing here takes that long, unless it never comes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Settings of all tests; a test's own come behind them and win.
const QUICK: [(&str, &str); 13] = [
    ("USHER_LISTEN", "127.0.0.1:0"),
    ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
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

/// A running mailer; stopped by `stop`, or left alone when the test ends.
pub(crate) struct Mailer {
    pub(crate) clock: Clock,
    pub(crate) folder: PathBuf,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    shutdown: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
    _directory: Option<TempDir>,
}

impl Mailer {
    pub(crate) async fn before(server: &SmtpServer) -> Self {
        Self::with(&[("USHER_MAIL_URL", &server.url())]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut mailer = Self::within(directory.path().to_owned(), settings).await;
        mailer._directory = Some(directory);
        mailer
    }

    pub(crate) async fn within(folder: PathBuf, settings: &[(&str, &str)]) -> Self {
        Self::within_at(folder, settings, Clock::default()).await
    }

    /// At the moment that `clock` shows.
    pub(crate) async fn within_at(
        folder: PathBuf,
        settings: &[(&str, &str)],
        clock: Clock,
    ) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let files = [
            (
                "USHER_DATABASE_URL",
                format!("sqlite:{}", path("mailer.db")),
            ),
            ("USHER_ADMIN_TOKEN_FILE", path("admin-token")),
            ("USHER_ADDRESS_KEY_FILE", path("address-keys")),
        ];
        let files = files.iter().map(|(key, value)| (*key, value.as_str()));
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (key, value) in QUICK
            .into_iter()
            .chain(files)
            .chain(settings.iter().copied())
        {
            all.retain(|(earlier, _)| *earlier != key);
            all.push((key, value));
        }
        let config = from_pairs::<Config>(&all).unwrap();
        let app = App::build(config, clock.clone()).await.unwrap();
        let (addr, admin_addr) = (app.addr(), app.admin_addr());
        let (shutdown, stopped) = oneshot::channel::<()>();
        let until = async move { drop(stopped.await) };
        let running = tokio::spawn(app.run_until(until));
        Self {
            clock,
            folder,
            addr,
            admin_addr,
            shutdown,
            running,
            _directory: None,
        }
    }

    /// SIGTERM, as `main` passes it on; returns when the service has ended.
    pub(crate) async fn stop(self) -> Option<TempDir> {
        let _ = self.shutdown.send(());
        self.running.await.unwrap().unwrap();
        self._directory
    }

    /// SIGTERM without waiting for the end.
    pub(crate) fn begin_to_stop(self) -> JoinHandle<anyhow::Result<()>> {
        let _ = self.shutdown.send(());
        self.running
    }

    pub(crate) async fn client(&self) -> MailerServiceClient<Channel> {
        MailerServiceClient::connect(format!("http://{}", self.addr))
            .await
            .unwrap()
    }

    pub(crate) async fn open(&self) -> Delivery {
        Delivery::to(self.addr).await
    }

    pub(crate) async fn admin(&self) -> MailerAdminClient<Channel> {
        MailerAdminClient::connect(format!("http://{}", self.admin_addr))
            .await
            .unwrap()
    }

    /// A request with the operators' token.
    pub(crate) fn authorized<T>(&self, message: T) -> Request<T> {
        let token = std::fs::read_to_string(self.folder.join("admin-token")).unwrap();
        let mut request = Request::new(message);
        request.metadata_mut().insert(
            "authorization",
            format!("Bearer {}", token.trim()).parse().unwrap(),
        );
        request
    }

    /// All attempts, newest first.
    pub(crate) async fn attempts(&self) -> Vec<MailAttempt> {
        let all = ListMailsRequest {
            page_size: 500,
            ..ListMailsRequest::default()
        };
        self.admin()
            .await
            .list_mails(self.authorized(all))
            .await
            .unwrap()
            .into_inner()
            .attempts
    }

    pub(crate) async fn readiness(&self) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut tcp = tokio::net::TcpStream::connect(self.admin_addr)
            .await
            .unwrap();
        tcp.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut body = String::new();
        tcp.read_to_string(&mut body).await.unwrap();
        body
    }
}

/// A delivery stream, past its Hello.
pub(crate) struct Delivery {
    pub(crate) window: u32,
    requests: mpsc::Sender<DeliverRequest>,
    responses: Streaming<DeliverResponse>,
}

impl Delivery {
    pub(crate) async fn to(addr: SocketAddr) -> Self {
        let mut client = MailerServiceClient::connect(format!("http://{addr}"))
            .await
            .unwrap();
        let (requests, receiver) = mpsc::channel(4_096);
        let responses = client
            .deliver(ReceiverStream::new(receiver))
            .await
            .unwrap()
            .into_inner();
        let mut delivery = Self {
            window: 0,
            requests,
            responses,
        };
        let Some(Message::Hello(hello)) = delivery.next().await else {
            panic!("Hello comes first")
        };
        delivery.window = hello.window;
        delivery
    }

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
