//! The parts around accounts that a test needs, and accounts itself.

use std::ops::Deref;

use accounts::{app::App, migrations::Migrator};
use kit::{
    clock::Clock,
    testing::{self, Environment, NatsServer, SmallDisk, Tested},
};

use crate::client::Client;

pub(crate) type Service = testing::Service<Client>;
type Ground = testing::World<Accounts>;

/// What the relay has yet to do. It is waited for: a stop publishes it, too, but not for longer
/// than a stop may take.
pub(crate) const UNPUBLISHED: &str = "outbox WHERE published_at IS NULL";

pub(crate) struct Accounts;

impl Tested for Accounts {
    type Client = Client;
    type Migrator = Migrator;
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_accounts");

    async fn start(settings: &Environment, clock: Clock) -> anyhow::Result<Service> {
        let app = App::build(settings.config(), clock).await?;
        let addrs = [app.addr(), app.admin_addr()];
        Ok(Service::start(settings, addrs, |shutdown| {
            app.run_until(shutdown)
        }))
    }
}

/// A broker, and what all services stand on.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
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

    pub(crate) fn without_streams(nats: NatsServer) -> Self {
        Self::beside(nats, Ground::on_sqlite())
    }

    async fn on(ground: Ground) -> Self {
        let nats = NatsServer::start().await;
        nats.provision().await;
        Self::beside(nats, ground)
    }

    fn beside(nats: NatsServer, ground: Ground) -> Self {
        let ground = ground
            .with(&[("USHER_NATS_URL", &nats.url())])
            .with_file("USHER_FINGERPRINT_KEY_FILE", "fingerprint-key");
        Self { nats, ground }
    }

    /// Rows of all tables of the service: accounts, events, keys.
    pub(crate) async fn accounts_events_keys(&self) -> [i64; 3] {
        [
            self.count("accounts").await,
            self.count("outbox").await,
            self.count("idempotency_keys").await,
        ]
    }
}
