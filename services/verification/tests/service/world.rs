//! The parts around verification that a test needs, verification itself, and events for it.

use std::ops::Deref;

use async_nats::HeaderMap;
use kit::{
    bus::Bus,
    testing::{self, Environment, NatsServer, SmallDisk},
};
use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
    verification::MailState,
};
use verification::{app::App, config::Config, migrations::Migrator};

use tokio::process::Command;

use crate::{client::Client, mailer::Mailer};

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

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

    pub(crate) async fn on_disk(disk: &SmallDisk) -> Self {
        Self {
            ground: testing::World::on_disk(disk),
            ..Self::new().await
        }
    }

    pub(crate) async fn on_postgres(name: &str) -> Option<Self> {
        let ground = testing::World::on_postgres::<Migrator>(name).await?;
        Some(Self {
            ground,
            ..Self::new().await
        })
    }

    pub(crate) fn settings(&self) -> Environment {
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
        Process::start(program(), &self.settings().with(more)).await
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
        let id = self.clock.uuid_v7().to_string();
        let headers = event_headers(&id, &event.account_id);
        let payload = prost::Message::encode_to_vec(event);
        self.publish_raw(AccountCreated::SUBJECT, headers, payload)
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

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_verification"))
}
