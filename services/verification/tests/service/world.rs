//! The parts around verification that a test needs, verification itself, and events for it.

use std::ops::Deref;

use async_nats::HeaderMap;
use kit::{
    bus::Bus,
    clock::Clock,
    testing::{self, Environment, NatsServer, SmallDisk, Tested},
};
use proto::{accounts::AccountCreated, events::Event as _, verification::MailState};
use verification::{app::App, migrations::Migrator};

use crate::{client::Client, mailer::Mailer};

pub(crate) type Service = testing::Service<Client>;
type Ground = testing::World<Verification>;

pub(crate) struct Verification;

impl Tested for Verification {
    type Client = Client;
    type Migrator = Migrator;
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_verification");

    async fn start(settings: &Environment, clock: Clock) -> anyhow::Result<Service> {
        let app = App::build(settings.config(), clock).await?;
        let addrs = [app.addr(), app.admin_addr()];
        Ok(Service::start(settings, addrs, |shutdown| {
            app.run_until(shutdown)
        }))
    }
}

/// A broker, a mailer, and what all services stand on.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    pub(crate) mailer: Mailer,
    ground: Ground,
}

impl Deref for World {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Ground::on_sqlite()).await
    }

    pub(crate) async fn on_disk(disk: &SmallDisk) -> Self {
        Self::on(Ground::on_disk(disk)).await
    }

    pub(crate) async fn on_postgres(name: &str) -> Option<Self> {
        Some(Self::on(Ground::on_postgres(name).await?).await)
    }

    async fn on(ground: Ground) -> Self {
        let (nats, mailer) = (NatsServer::start().await, Mailer::start());
        let ground = ground
            .with(&[
                ("USHER_NATS_URL", &nats.url()),
                ("USHER_MAILER_URL", &mailer.url()),
                ("USHER_DELIVERY_TICK", "50ms"),
                ("USHER_ACK_WAIT", "600ms"),
            ])
            .with_file("USHER_CODE_KEYS_FILE", "code-keys");
        Self {
            bus: nats.provision().await,
            nats,
            mailer,
            ground,
        }
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
        testing::publish(&self.bus, subject, headers, payload).await;
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

/// The headers of an AccountCreated.
pub(crate) fn event_headers(id: &str, account_id: &str) -> HeaderMap {
    testing::event_headers::<AccountCreated>(id, account_id)
}
