//! The parts around verification that a test needs, and verification itself.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use async_nats::HeaderMap;
use kit::{
    bus::{self, Bus},
    clock::Clock,
    testing::{NatsServer, eventually},
};
use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
    verification::{
        Code, CodeState, ConfirmCodeRequest, ConfirmCodeResponse, ConfirmOutcome,
        GetVerificationRequest, MailState, ResendCodeRequest, Verification,
        WatchVerificationRequest, WatchVerificationResponse, confirm_code_request,
        resend_code_request, verification_service_client::VerificationServiceClient,
    },
};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Status, Streaming, transport::Channel};
use uuid::Uuid;
use verification::{app::App, config::Config};

use crate::mailer::Mailer;

/// Long enough for a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A broker, a mailer, a folder for a database, a clock.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    pub(crate) mailer: Mailer,
    pub(crate) clock: Clock,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let nats = NatsServer::start().await;
        let bus = Bus::connect(&nats.url(), "test").await.unwrap();
        eventually("the streams", SOON, async || {
            bus::provision(&bus, None).await.ok()
        })
        .await;
        let mailer = Mailer::start();
        Self {
            nats,
            bus,
            mailer,
            clock: Clock::default(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Starts verification in this process, on the world's SQLite database.
    pub(crate) async fn verification(&self) -> Service {
        self.verification_with(&[]).await
    }

    pub(crate) async fn verification_with(&self, more: &[(&str, &str)]) -> Service {
        let mut settings = self.settings();
        settings.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
        settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let pairs: Vec<_> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let config: Config = kit::config::from_pairs(&pairs).unwrap();
        Service::start(App::build(config, self.clock.clone()).await.unwrap())
    }

    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("USHER_LISTEN", "127.0.0.1:0".to_owned()),
            ("USHER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            (
                "USHER_ADMIN_TOKEN_FILE",
                self.file("admin-token").display().to_string(),
            ),
            (
                "USHER_DATABASE_URL",
                format!("sqlite:{}", self.file("verification.sqlite").display()),
            ),
            ("USHER_NATS_URL", self.nats.url()),
            ("USHER_MAILER_URL", self.mailer.url()),
            (
                "USHER_CODE_KEYS_FILE",
                self.file("code-keys").display().to_string(),
            ),
            ("USHER_DELIVERY_TICK", "50ms".to_owned()),
            ("USHER_ACK_WAIT", "600ms".to_owned()),
        ]
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A second way into the database, past the service.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        Database::connect(format!(
            "sqlite:{}",
            self.file("verification.sqlite").display()
        ))
        .await
        .unwrap()
    }

    /// How many rows a table has, as another program sees it.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        count(
            &self.database().await,
            &format!("SELECT COUNT(*) FROM {table}"),
        )
        .await
    }

    /// The event of a new account, which nobody has published yet.
    pub(crate) fn created(&self, email: &str) -> AccountCreated {
        AccountCreated {
            account_id: self.clock.uuid_v7().to_string(),
            email: email.to_owned(),
            display_name: "Ada Lovelace".to_owned(),
            locale: "en".to_owned(),
            created_at: Some(self.clock.now().into()),
        }
    }

    /// Publishes the event as accounts would, under a message id of its own.
    pub(crate) async fn publish(&self, event: &AccountCreated) {
        self.publish_as(event, "").await;
    }

    pub(crate) async fn publish_as(&self, event: &AccountCreated, traceparent: &str) {
        let id = self.clock.uuid_v7().to_string();
        let mut all = event_headers(&id, &event.account_id);
        if !traceparent.is_empty() {
            all.insert(kit::propagation::TRACEPARENT, traceparent);
        }
        self.publish_raw(
            AccountCreated::SUBJECT,
            all,
            prost::Message::encode_to_vec(event),
        )
        .await;
    }

    pub(crate) async fn publish_raw(
        &self,
        subject: &'static str,
        headers: HeaderMap,
        payload: Vec<u8>,
    ) {
        let sent = self
            .bus
            .jetstream()
            .publish_with_headers(subject, headers, payload.into())
            .await;
        sent.unwrap().await.unwrap();
    }

    /// A new account whose event is published.
    pub(crate) async fn sign_up(&self, email: &str) -> String {
        let event = self.created(email);
        self.publish(&event).await;
        event.account_id
    }

    /// A new account whose first mail has been accepted, and the digits in it.
    pub(crate) async fn sign_up_and_read(&self, client: &Client, email: &str) -> (String, String) {
        let account_id = self.sign_up(email).await;
        let mail = self.mailer.mail(&account_id, 1).await;
        client.until_mail(&account_id, 1, MailState::Accepted).await;
        (account_id, mail.digits)
    }
}

/// CloudEvents headers of an AccountCreated.
pub(crate) fn event_headers(id: &str, account_id: &str) -> HeaderMap {
    let mut all = HeaderMap::new();
    all.insert(headers::MESSAGE_ID, id);
    all.insert(headers::ID, id);
    all.insert(headers::TYPE, AccountCreated::TYPE);
    all.insert(headers::SOURCE, AccountCreated::SOURCE);
    all.insert(headers::SUBJECT, account_id);
    all.insert(headers::SPEC_VERSION, headers::SPEC_VERSION_1_0);
    all
}

/// The number that a query answers with.
pub(crate) async fn count(database: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    database
        .query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get_by_index(0)
        .unwrap()
}

/// Other digits than these.
pub(crate) fn wrong(digits: &str) -> String {
    let other = |digit: char| {
        if digit == '9' {
            '0'
        } else {
            char::from(digit as u8 + 1)
        }
    };
    digits.chars().map(other).collect()
}

/// A running service. Dropped, it is told to stop; `stop` awaits that.
pub(crate) struct Service {
    addr: SocketAddr,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    fn start(app: App) -> Self {
        let (shutdown, asked) = oneshot::channel();
        let addr = app.addr();
        let ended = tokio::spawn(app.run_until(async { drop(asked.await) }));
        Self {
            addr,
            shutdown,
            ended,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.addr)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) VerificationServiceClient<Channel>);

impl Client {
    pub(crate) fn of(addr: SocketAddr) -> Self {
        let channel = Channel::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect_lazy();
        Self(VerificationServiceClient::new(channel))
    }

    pub(crate) async fn try_confirm(
        &self,
        account_id: &str,
        code: &str,
    ) -> Result<ConfirmCodeResponse, Status> {
        let target = Some(confirm_code_request::Target::AccountId(
            account_id.to_owned(),
        ));
        let request = ConfirmCodeRequest {
            target,
            code: code.to_owned(),
        };
        Ok(self.0.clone().confirm_code(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, account_id: &str, code: &str) -> ConfirmCodeResponse {
        self.try_confirm(account_id, code).await.unwrap()
    }

    pub(crate) async fn outcome(&self, account_id: &str, code: &str) -> ConfirmOutcome {
        self.confirm(account_id, code).await.outcome()
    }

    /// Asks by account; the wait before the next time.
    pub(crate) async fn resend(&self, account_id: &str) -> Result<Duration, Status> {
        self.resend_to(resend_code_request::Target::AccountId(
            account_id.to_owned(),
        ))
        .await
    }

    pub(crate) async fn resend_by_email(&self, email: &str) -> Result<Duration, Status> {
        self.resend_to(resend_code_request::Target::Email(email.to_owned()))
            .await
    }

    async fn resend_to(&self, target: resend_code_request::Target) -> Result<Duration, Status> {
        let response = self
            .0
            .clone()
            .resend_code(ResendCodeRequest {
                target: Some(target),
            })
            .await?;
        Ok(response
            .into_inner()
            .next_after
            .unwrap()
            .try_into()
            .unwrap())
    }

    pub(crate) async fn get(&self, account_id: &str) -> Result<Verification, Status> {
        let request = GetVerificationRequest {
            account_id: account_id.to_owned(),
        };
        Ok(self
            .0
            .clone()
            .get_verification(request)
            .await?
            .into_inner()
            .verification
            .unwrap())
    }

    pub(crate) async fn watch(&self, account_id: &str) -> Streaming<WatchVerificationResponse> {
        let request = WatchVerificationRequest {
            account_id: account_id.to_owned(),
        };
        self.0
            .clone()
            .watch_verification(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Waits until the verification satisfies, and returns it.
    pub(crate) async fn until(
        &self,
        what: &str,
        account_id: &str,
        mut satisfies: impl FnMut(&Verification) -> bool,
    ) -> Verification {
        let mut looked = async || self.get(account_id).await.ok().filter(&mut satisfies);
        eventually(what, SOON, async || looked().await).await
    }

    /// Waits until the mail of the account's code `number` is in this state.
    pub(crate) async fn until_mail(&self, account_id: &str, number: u32, state: MailState) -> Code {
        let is = |code: &Code| code.number == number && code.mail_state() == state;
        let what = format!("code {number}'s mail to be {state:?}");
        let found = self
            .until(&what, account_id, |all| all.codes.iter().any(is))
            .await;
        found.codes.into_iter().find(is).unwrap()
    }

    /// Waits until the account's newest code is `number` and live.
    pub(crate) async fn until_code(&self, account_id: &str, number: u32) -> Code {
        let is = |code: &Code| code.number == number && code.state() == CodeState::Live;
        let found = self
            .until("the next code", account_id, |all| {
                all.codes.first().is_some_and(is)
            })
            .await;
        found.codes.into_iter().next().unwrap()
    }
}

/// What happened to a verification, in order.
pub(crate) fn facts(verification: &Verification) -> Vec<&str> {
    verification
        .history
        .iter()
        .map(|entry| entry.what.as_str())
        .collect()
}

/// A UUID that names nothing.
pub(crate) fn nobody() -> String {
    Uuid::from_u128(0x018f_5c1e_7b9a_7cc0_8f0e_3c2a_9d6b_4e11).to_string()
}
