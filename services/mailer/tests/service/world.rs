//! The mailer, and what it stands on.

use std::ops::Deref;

use kit::{
    clock::Clock,
    testing::{self, Environment, SmallDisk, SmtpServer, Tested},
};
use mailer::{app::App, migrations::Migrator};

use crate::client::Client;

pub(crate) type Service = testing::Service<Client>;
type Ground = testing::World<Mailer>;

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

pub(crate) struct Mailer;

impl Tested for Mailer {
    type Client = Client;
    type Migrator = Migrator;
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_mailer");

    async fn start(settings: &Environment, clock: Clock) -> anyhow::Result<Service> {
        let app = App::build(settings.config(), clock).await?;
        let addrs = [app.addr(), app.admin_addr()];
        Ok(Service::start(settings, addrs, |shutdown| {
            app.run_until(shutdown)
        }))
    }
}

/// What all services stand on, and where mails go.
pub(crate) struct World {
    ground: Ground,
    /// Where things are, and nothing else.
    defaults: Environment,
}

impl Deref for World {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl World {
    pub(crate) fn before(server: &SmtpServer) -> Self {
        Self::sending_to(&server.url())
    }

    pub(crate) fn sending_to(mail_url: &str) -> Self {
        Self::on(Ground::on_sqlite(), mail_url)
    }

    pub(crate) fn on_disk(disk: &SmallDisk, server: &SmtpServer) -> Self {
        Self::on(Ground::on_disk(disk), &server.url())
    }

    pub(crate) async fn on_postgres(name: &str, server: &SmtpServer) -> Option<Self> {
        Some(Self::on(Ground::on_postgres(name).await?, &server.url()))
    }

    fn on(ground: Ground, mail_url: &str) -> Self {
        let ground = ground
            .with(&[("USHER_MAIL_URL", mail_url)])
            .with_file("USHER_ADDRESS_KEY_FILE", "address-keys");
        Self {
            defaults: ground.settings(),
            ground: ground.with(&QUICK),
        }
    }

    /// As operators have it who set nothing.
    pub(crate) async fn start_with_defaults(&self) -> Service {
        let started = Mailer::start(&self.defaults, self.clock.clone()).await;
        started.unwrap()
    }
}
