//! The parts around accounts that a test needs, and accounts itself.

use std::ops::Deref;

use accounts::{app::App, config::Config, migrations::Migrator};
use kit::testing::{self, Environment, NatsServer, SOON, SmallDisk, eventually};
use tokio::process::Command;

use crate::client::Client;

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

/// What the relay has yet to do.
pub(crate) const UNPUBLISHED: &str = "outbox WHERE published_at IS NULL";

/// A broker, and what all services stand on.
pub(crate) struct World {
    pub(crate) nats: NatsServer,
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
        let world = Self::without_streams(NatsServer::start().await);
        world.nats.provision().await;
        world
    }

    pub(crate) fn without_streams(nats: NatsServer) -> Self {
        let ground = testing::World::on_sqlite();
        Self { nats, ground }
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
        let key = self.file("fingerprint-key").display().to_string();
        self.ground.settings().with(&[
            ("USHER_NATS_URL", &self.nats.url()),
            ("USHER_FINGERPRINT_KEY_FILE", &key),
        ])
    }

    pub(crate) async fn start(&self) -> Service {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(&self, more: &[(&str, &str)]) -> Service {
        let settings = self.settings().with(more);
        // A service that was stopped a moment ago lets go of its database once its last task has
        // ended.
        let build = async || {
            App::build(settings.config::<Config>(), self.clock.clone())
                .await
                .ok()
        };
        let app = eventually("accounts to start", SOON, build).await;
        Service::start(&settings, [app.addr(), app.admin_addr()], |shutdown| {
            app.run_until(shutdown)
        })
    }

    /// Two replicas.
    pub(crate) async fn pair(&self) -> [Service; 2] {
        [self.start().await, self.start().await]
    }

    /// Accounts as a process of its own.
    pub(crate) async fn process(&self, more: &[(&str, &str)]) -> Process {
        Process::start(program(), &self.settings().with(more)).await
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

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_accounts"))
}
