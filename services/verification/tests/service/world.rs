//! The parts around verification that a test needs, verification itself, and who calls it.

use std::{ops::Deref, time::Duration};

use async_nats::HeaderMap;
use kit::{
    bus::Bus,
    testing::{self, NatsServer, SOON, Settings},
};
use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
    verification::{
        Code, CodeState, ConfirmCodeRequest, ConfirmCodeResponse, ConfirmOutcome,
        GetVerificationRequest, MailState, ResendCodeRequest, Verification,
        WatchVerificationRequest, WatchVerificationResponse, confirm_code_request,
        resend_code_request::Target, verification_service_client::VerificationServiceClient,
    },
};
use tokio::time::timeout;
use tonic::{Status, Streaming, transport::Channel};
use uuid::Uuid;
use verification::{app::App, config::Config, migrations::Migrator};

use crate::mailer::Mailer;

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_verification");

/// A broker, a mailer, and what all services stand on.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    pub(crate) mailer: Mailer,
    ground: testing::World,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.ground
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let nats = NatsServer::start().await;
        Self {
            bus: nats.provision().await,
            nats,
            mailer: Mailer::start(),
            ground: testing::World::on_sqlite(),
        }
    }

    pub(crate) async fn on_postgres(name: &str) -> Option<Self> {
        let ground = testing::World::on_postgres::<Migrator>(name).await?;
        Some(Self {
            ground,
            ..Self::new().await
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        let keys = self.file("code-keys").display().to_string();
        self.ground.settings().with(&[
            ("USHER_NATS_URL", &self.nats.url()),
            ("USHER_MAILER_URL", &self.mailer.url()),
            ("USHER_CODE_KEYS_FILE", &keys),
            ("USHER_DELIVERY_TICK", "50ms"),
            ("USHER_ACK_WAIT", "600ms"),
        ])
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

    /// Verification as a process of its own.
    pub(crate) async fn process(&self, more: &[(&str, &str)]) -> Process {
        Process::start(PROGRAM, &self.settings().with(more)).await
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
        let jetstream = self.bus.jetstream();
        let sent = jetstream
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

/// A caller.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) VerificationServiceClient<Channel>);

impl From<Channel> for Client {
    fn from(channel: Channel) -> Self {
        Self(VerificationServiceClient::new(channel))
    }
}

impl Client {
    pub(crate) async fn try_confirm(
        &self,
        account_id: &str,
        code: &str,
    ) -> Result<ConfirmCodeResponse, Status> {
        let target = confirm_code_request::Target::AccountId(account_id.to_owned());
        let request = ConfirmCodeRequest {
            target: Some(target),
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
        self.resend_to(Target::AccountId(account_id.to_owned()))
            .await
    }

    pub(crate) async fn resend_by_email(&self, email: &str) -> Result<Duration, Status> {
        self.resend_to(Target::Email(email.to_owned())).await
    }

    async fn resend_to(&self, target: Target) -> Result<Duration, Status> {
        let target = Some(target);
        let response = self
            .0
            .clone()
            .resend_code(ResendCodeRequest { target })
            .await?;
        Ok(response
            .into_inner()
            .next_after
            .unwrap()
            .try_into()
            .unwrap())
    }

    pub(crate) async fn get(&self, account_id: &str) -> Result<Verification, Status> {
        let account_id = account_id.to_owned();
        let request = GetVerificationRequest { account_id };
        let response = self.0.clone().get_verification(request).await?;
        Ok(response.into_inner().verification.unwrap())
    }

    pub(crate) async fn watch(&self, account_id: &str) -> Streaming<WatchVerificationResponse> {
        let account_id = account_id.to_owned();
        let request = WatchVerificationRequest { account_id };
        let versions = self.0.clone().watch_verification(request).await;
        versions.unwrap().into_inner()
    }

    /// Watches until the verification satisfies, and returns it.
    pub(crate) async fn until(
        &self,
        what: &str,
        account_id: &str,
        satisfies: impl Fn(&Verification) -> bool,
    ) -> Verification {
        let watched = async {
            let mut versions = self.watch(account_id).await;
            while let Some(version) = versions.message().await.unwrap() {
                let seen = version.verification.unwrap();
                if satisfies(&seen) {
                    return seen;
                }
            }
            panic!("the watch ended before {what}")
        };
        let seen = timeout(SOON, watched).await;
        seen.unwrap_or_else(|_| panic!("watched {SOON:?} in vain for {what}"))
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
