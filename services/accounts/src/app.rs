//! Puts the service together and runs it: the one place that knows every part.

use std::{future::Future, net::SocketAddr, path::Path, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use kit::{
    bus::{self, Bus, Consumer},
    clock::Clock,
    db::Db,
    outbox::{self, Relay},
    random,
    serve::{self, AdminToken, Health, MESSAGE_LIMIT, Server, Stages, Surface},
    telemetry,
    watch::Watches,
};
use proto::accounts::{
    accounts_admin_server::{AccountsAdminServer, SERVICE_NAME as ADMIN_NAME},
    accounts_service_server::{AccountsServiceServer, SERVICE_NAME},
};
use tonic::service::Routes;

use crate::{
    commands::{
        create_account::{Limits, SignUps},
        forget_keys, watch_account,
    },
    config::{Config, Dispatcher},
    consumer,
    dispatch::{EventDispatcher, JetStream},
    domain::FingerprintKey,
    grpc::{Admin, Public},
    migrations::Migrator,
};

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("accounts", &config.telemetry)?;
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
    fingerprints: FingerprintKey,
}

impl App {
    /// Opens the database, binds the listeners and reads the secrets. An SQLite database is migrated; a Postgres one
    /// is `usher migrate`'s business. Neither the broker nor Postgres is waited for.
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
        let bus = Bus::connect(&config.nats_url, "accounts").await?;
        let server = Server::bind(config.listen, config.admin_listen).await?;
        let token = AdminToken::read_or_make(&config.admin_token_file)?;
        let fingerprints = fingerprint_key(&config)?;
        Ok(Self {
            config,
            clock,
            db,
            bus,
            server,
            token,
            fingerprints,
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

    /// Serves until `shutdown`, then answers what was begun and publishes what is left.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stages = Stages::default();
        let public = self.start_workers(&stages);
        let public = AccountsServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
        let Self {
            db,
            bus,
            server,
            token,
            ..
        } = self;
        let health = Health::new::<Migrator>(db.clone());
        health.depends_on("broker", move || {
            (!bus.is_connected()).then(|| "not connected; events wait in the outbox".to_owned())
        });
        let admin = AccountsAdminServer::new(Admin { db: db.clone() })
            .max_decoding_message_size(MESSAGE_LIMIT);
        let surface = Surface {
            public: Routes::new(public),
            names: &[SERVICE_NAME],
            admin: Routes::new(admin),
            admin_names: &[ADMIN_NAME],
            token,
            health,
        };
        let served = server.run(surface, stages, shutdown).await;
        db.close().await;
        served
    }

    /// Starts all that works without being called, and returns what is called.
    fn start_workers(&self, stages: &Stages) -> Public {
        let Self {
            config,
            clock,
            db,
            bus,
            fingerprints,
            ..
        } = self;
        let watches = Watches::default();

        let relay = outbox::Settings {
            lease: config.outbox_lease,
            ..outbox::Settings::default()
        };
        let (outbox, relay) = Relay::new(db.clone(), bus.clone(), relay);
        stages.tasks.spawn(relay.run(stages.finish.clone()));
        let events: Arc<dyn EventDispatcher> = match config.dispatcher {
            Dispatcher::Jetstream => Arc::new(JetStream::new(outbox, clock.clone())),
        };
        let limits = Limits {
            queue: config.sign_up_queue,
            batch: config.sign_up_batch,
        };
        let sign_ups = SignUps::start(
            db.clone(),
            events,
            clock.clone(),
            fingerprints.clone(),
            limits,
        );

        let settings = bus::Settings {
            ack_wait: config.ack_wait,
            ..bus::Settings::default()
        };
        let consumer = Consumer::new(bus.clone(), consumer::durable(), settings, clock.clone());
        let handler = {
            let (db, watches) = (db.clone(), watches.clone());
            move |batch| consumer::handle(db.clone(), watches.clone(), batch)
        };
        stages
            .tasks
            .spawn(consumer.run(handler, stages.stop.clone()));
        stages.tasks.spawn(watch_account::run(
            db.clone(),
            watches.clone(),
            stages.stop.clone(),
        ));
        stages
            .tasks
            .spawn(forget_keys::run(db.clone(), stages.stop.clone()));
        Public {
            db: db.clone(),
            sign_ups,
            watches,
            stop: stages.stop.clone(),
        }
    }
}

fn fingerprint_key(config: &Config) -> anyhow::Result<FingerprintKey> {
    let beside_database =
        || Some(Path::new(config.database_url.sqlite_path()?).with_file_name("fingerprint-key"));
    let file: PathBuf = config.fingerprint_key_file.clone().or_else(beside_database).context(
        "USHER_FINGERPRINT_KEY_FILE is missing: with Postgres, set it to a file that all replicas share.",
    )?;
    let make = || FingerprintKey::new(random::bytes()).to_text();
    let text = serve::read_or_make(&file, "The fingerprint key", make)?;
    FingerprintKey::parse(&text).with_context(|| format!("{} cannot be used.", file.display()))
}
