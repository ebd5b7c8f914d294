//! The parts around the mailer that a test needs, and the mailer itself.

use std::ops::Deref;

use kit::testing::{self, Environment, SmallDisk, SmtpServer};
use mailer::{app::App, config::Config, migrations::Migrator};
use tokio::process::Command;

use crate::client::Client;

pub(crate) type Service = testing::Service<Client>;
pub(crate) type Process = testing::Process<Client>;

/// Environment of all tests: nobody waits long for a mail server that misbehaves.
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

    pub(crate) fn on_disk(disk: &SmallDisk, server: &SmtpServer) -> Self {
        Self {
            ground: testing::World::on_disk(disk),
            ..Self::before(server)
        }
    }

    pub(crate) async fn on_postgres(name: &str, server: &SmtpServer) -> Option<Self> {
        let ground = testing::World::on_postgres::<Migrator>(name).await?;
        Some(Self {
            ground,
            ..Self::before(server)
        })
    }

    pub(crate) fn settings(&self) -> Environment {
        self.default_settings().with(&QUICK)
    }

    /// Where things are, and nothing else.
    fn default_settings(&self) -> Environment {
        let keys = self.file("address-keys").display().to_string();
        let more = [
            ("USHER_MAIL_URL", &*self.mail_url),
            ("USHER_ADDRESS_KEY_FILE", &keys),
        ];
        self.ground.settings().with(&more)
    }

    pub(crate) async fn start(&self) -> Service {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(&self, more: &[(&str, &str)]) -> Service {
        self.start_as(self.settings().with(more)).await
    }

    /// As operators have it who set nothing.
    pub(crate) async fn start_with_defaults(&self) -> Service {
        self.start_as(self.default_settings()).await
    }

    async fn start_as(&self, settings: Environment) -> Service {
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
        Process::start(
            Command::new(env!("CARGO_BIN_EXE_mailer")),
            &self.settings().with(more),
        )
        .await
    }
}
