//! Puts the service together and runs it: the one place that knows every part.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::FutureExt as _;
use kit::{
    bus::{self, Bus, Consumer},
    clock::Clock,
    db::Db,
    outbox::{self, Relay},
    serve::{self, AdminToken, Health, MESSAGE_LIMIT, Server, Stages, Surface},
    telemetry,
    watch::Watches,
};
use proto::verification::verification_service_server::{SERVICE_NAME, VerificationServiceServer};
use tonic::service::Routes;

use crate::{
    commands::{Commands, Rules},
    config::Config,
    consumer,
    delivery::Delivery,
    domain::keys::KeyRing,
    grpc::Public,
    keys_file,
    migrations::Migrator,
    queue::Queue,
};

/// How often another replica's commits are looked for.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("verification", &config.telemetry)?;
    let served = async {
        App::build(config, Clock::default())
            .await?
            .run_until(shutdown)
            .await
    }
    .await;
    telemetry.shutdown().await; // last: what was drained has spans too
    served
}

/// The service, listening but not yet answering.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Clock,
    db: Db,
    bus: Bus,
    server: Server,
    token: AdminToken,
    keys: KeyRing,
    mailers: Vec<serve::Client>,
}

impl App {
    /// Opens the database, binds the listeners and reads the secrets. An SQLite database is migrated; a Postgres one
    /// is `usher migrate`'s business. Neither broker nor mailer nor Postgres is waited for.
    ///
    /// # Errors
    /// What cannot be opened, bound or read, as a sentence.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::connect(&config.database_url, clock.clone()).await?;
        if config.database_url.sqlite_path().is_some() {
            db.migrate::<Migrator>()
                .await
                .context("The database cannot be migrated.")?;
        }
        let bus = Bus::connect(&config.nats_url, "verification").await?;
        let server = Server::bind(config.listen, config.admin_listen).await?;
        let token = AdminToken::read_or_make(&config.admin_token_file)?;
        let keys = keys_file::read(&config.code_keys_file)?;
        let mailers = config
            .mailer_url
            .iter()
            .map(|url| serve::client(url.trim()));
        let mailers = mailers
            .collect::<anyhow::Result<_>>()
            .context("USHER_MAILER_URL cannot be used.")?;
        Ok(Self {
            config,
            clock,
            db,
            bus,
            server,
            token,
            keys,
            mailers,
        })
    }

    /// Where the public service listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Where operators and probes ask.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.server.admin_addr()
    }

    /// Serves until `shutdown`, then answers what was begun, settles what is under way and publishes what is left.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self {
            config,
            clock,
            db,
            bus,
            server,
            token,
            keys,
            mailers,
        } = self;
        let stages = Stages::default();
        let watches = Watches::default();
        let relay = outbox::Settings {
            lease: config.outbox_lease,
            ..outbox::Settings::default()
        };
        let (outbox, relay) = Relay::new(db.clone(), bus.clone(), relay);
        let (queue, incoming) = Queue::new(config.delivery_queue);
        let rules = Rules {
            length: config.code_digits,
            lifetime: config.code_lifetime,
            lease: config.delivery_lease,
        };
        let keys = Arc::new(keys);
        let commands = Commands {
            db: db.clone(),
            clock: clock.clone(),
            keys,
            outbox,
            queue: queue.clone(),
            watches: watches.clone(),
            rules,
        };

        let settings = bus::Settings {
            ack_wait: config.ack_wait,
            ..bus::Settings::default()
        };
        let consumer = Consumer::new(bus.clone(), consumer::durable(), settings, clock);
        let handler = {
            let commands = commands.clone();
            move |batch| consumer::handle(commands.clone(), batch).boxed()
        };
        let delivery = Delivery::new(commands.clone(), incoming, mailers, config.delivery_tick);
        let versions = {
            let commands = commands.clone();
            move |accounts| {
                let commands = commands.clone();
                async move { commands.versions(accounts).await }
            }
        };
        let watching = watches.clone();
        let stop = stages.stop.clone();
        stages
            .tasks
            .spawn(async move { watching.run(WATCH_EVERY, versions, stop).await });
        stages
            .tasks
            .spawn(consumer.run(handler, stages.stop.clone()));
        stages.tasks.spawn(delivery.run(stages.stop.clone()));
        stages.tasks.spawn(relay.run(stages.finish.clone()));

        let surface = Surface {
            public: Routes::new(
                VerificationServiceServer::new(Public {
                    commands,
                    watches,
                    stop: stages.stop.clone(),
                })
                .max_decoding_message_size(MESSAGE_LIMIT),
            ),
            names: &[SERVICE_NAME],
            admin: Routes::default(),
            admin_names: &[],
            token,
            health: health(db.clone(), bus, queue),
        };
        let served = server.run(surface, stages, shutdown).await;
        db.close().await;
        served
    }
}

fn health(db: Db, bus: Bus, queue: Queue) -> Health {
    let health = Health::new::<Migrator>(db);
    health.depends_on("broker", move || {
        (!bus.is_connected()).then(|| "not connected; events wait in the outbox".to_owned())
    });
    health.depends_on("mailer", move || {
        (!queue.is_open()).then(|| "takes no mails; they wait in the database".to_owned())
    });
    health
}
