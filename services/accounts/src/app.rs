//! Puts the service together and runs it: the one place that knows every part.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};

use kit::{
    bus::{self, Bus, Consumer, DeadLetters, Durable, Handler},
    clock::Clock,
    config::RefusedSetting,
    files::{Custody, FileRefused},
    outbox::{self, Outbox, Relay},
    random,
    serve::{self, Health, MESSAGE_LIMIT, Parts, Secrets, Stages, Surface},
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
        forget_keys,
        verify_accounts::VerifyAccounts,
        watch_account,
    },
    config::{Config, Dispatcher},
    consumer::Verified,
    dispatch::{Background, EventDispatcher, Inline, JetStream, Retries, Verifier},
    domain::FingerprintKey,
    grpc::{Admin, Batches, Patience, Public},
    migrations::Migrator,
};

/// What people notice of a service that is not ready.
const NOT_READY: &str = "Nobody can sign up until it is; whoever has signed up loses nothing.";

/// The same of verification, where a dispatcher calls it.
const VERIFICATION_AWAY: &str = "People can sign up, but get no mail yet: the dispatcher `inline` tells them so, and `background` tries again \
                                 for as long as USHER_BACKGROUND_AGE says.";

/// The durable by which this service reads events, as it should be.
pub fn durable() -> Durable {
    Verified::durable()
}

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("accounts", &config.service.telemetry)?;
    let served = async {
        let mut shutdown = pin!(serve::at_most_ten_seconds(shutdown));
        let app = tokio::select! {
            app = App::build(config, Clock::default()) => app?,
            // Nothing is begun that would have to be finished.
            () = &mut shutdown => return Ok(()),
        };
        app.run_until(shutdown).await
    };
    let served = served.await;
    // Last: what was drained has spans, too.
    telemetry.shutdown().await;
    served
}

/// The service, listening but not yet answering.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Clock,
    parts: Parts,
    bus: Bus,
    fingerprints: FingerprintKey,
    /// For the dispatchers that call verification.
    verifier: Option<Verifier>,
}

impl App {
    /// Reads the secrets, opens the database and binds the listeners. An SQLite database is
    /// migrated; a Postgres one is `usher migrate`'s business. Secrets are waited for where operators
    /// bring them; neither the broker nor Postgres is.
    ///
    /// # Errors
    /// What cannot be read, opened or bound, as a sentence.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let verification_url = verification_url(&config)?;
        let settings = config.clone();
        let look = move || look_for_secrets(&settings);
        let service = &config.service;
        let opened = service.open::<Migrator, _>(NOT_READY, clock.clone(), look);
        let (parts, fingerprints) = opened.await?;
        let verifier = verification_url.map(|url| Verifier::new(&url, &parts.token));
        // It connects by itself, now or later: sign-ups are stored while the broker is away.
        let bus = Bus::connect(&config.broker, "accounts").await?;
        Ok(Self {
            config,
            clock,
            parts,
            bus,
            fingerprints,
            verifier: verifier.transpose()?,
        })
    }

    /// Where the public service listens.
    pub fn addr(&self) -> SocketAddr {
        self.parts.server.addr()
    }

    /// Where operators and probes ask.
    pub fn admin_addr(&self) -> SocketAddr {
        self.parts.server.admin_addr()
    }

    /// Serves until `shutdown`, then answers what was begun and publishes what is left.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stages = Stages::default();
        let watches = Watches::default();
        let verify_accounts = VerifyAccounts {
            db: self.parts.db.clone(),
            watches: watches.clone(),
        };
        let verified = Verified { verify_accounts };
        let handler = Handler::new(move |batch| verified.clone().handle(batch));
        let dead_letters = DeadLetters::new(self.parts.db.clone(), handler.clone());
        let sign_ups = self.start_workers(&stages, &watches, handler);
        let patience = Patience {
            untaken: self.config.batch_untaken,
            silent: self.config.batch_silent,
        };
        let Self {
            parts: Parts { db, server, token },
            bus,
            verifier,
            ..
        } = self;

        let public = Public {
            db: db.clone(),
            batches: Batches {
                sign_ups: sign_ups.clone(),
                patience,
                stages: stages.clone(),
            },
            sign_ups,
            watches,
        };
        let admin = Admin {
            db: db.clone(),
            dead_letters,
        };
        let health = Health::new::<Migrator>(db.clone(), NOT_READY);
        bus.show_in(&health);
        if let Some(verifier) = verifier {
            let away = move || verifier.away();
            health.depends_on("verification", VERIFICATION_AWAY, away);
        }
        let public = AccountsServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
        let admin = AccountsAdminServer::new(admin).max_decoding_message_size(MESSAGE_LIMIT);
        let surface = Surface {
            public: Routes::new(public),
            names: &[SERVICE_NAME],
            admin: Routes::new(admin),
            admin_names: &[ADMIN_NAME],
            token,
            health,
        };
        let served = server.run(surface, stages, shutdown).await;
        // After the workers' last pass, which writes.
        db.close().await;
        served
    }

    /// Starts all that works without being called, and answers with the way to the worker that
    /// callers need.
    fn start_workers(
        &self,
        stages: &Stages,
        watches: &Watches<uuid::Uuid>,
        handler: Handler,
    ) -> SignUps {
        let (db, config) = (&self.parts.db, &self.config);
        let Stages { stop, finish, .. } = stages;

        let settings = outbox::RelaySettings {
            lease: config.outbox_lease,
            ..Default::default()
        };
        // Whatever the dispatcher is: rows from before it was changed are still to be published.
        let (outbox, relay) = Relay::new(db.clone(), self.bus.clone(), settings);
        // Until `finish`: sign-ups that are answered while the servers drain have events, too.
        stages.work("relay", finish, relay.run(finish.clone()));

        let events = self.start_dispatcher(stages, outbox);
        let limits = Limits {
            queue: config.sign_up_queue,
            batch: config.sign_up_batch,
        };
        let (clock, fingerprints) = (self.clock.clone(), self.fingerprints.clone());
        let sign_ups = SignUps::start(db.clone(), events, clock, fingerprints, limits);

        let settings = bus::ConsumerSettings {
            ack_wait: config.ack_wait,
            ..Default::default()
        };
        // With every dispatcher, too: by the broker comes who is confirmed.
        // Until `stop`: what it leaves without an ack the broker hands out again.
        let consumer = Consumer::new(self.bus.clone(), db.clone(), durable(), settings);
        let consuming = consumer.run(handler, stop.clone());
        stages.work("consumer", stop, consuming);

        let watching = watch_account::run(db.clone(), watches.clone(), stop.clone());
        stages.work("watches", stop, watching);
        let forgetting = forget_keys::run(db.clone(), stop.clone());
        stages.work("housekeeping", stop, forgetting);
        tracing::info!("Relay, sign-ups, consumer, watches and housekeeping are at work.");
        sign_ups
    }

    /// The dispatcher that is configured, with its worker if it has one.
    fn start_dispatcher(&self, stages: &Stages, outbox: Outbox) -> Arc<dyn EventDispatcher> {
        let (config, Stages { stop, finish, .. }) = (&self.config, stages);
        match (config.dispatcher, self.verifier.clone()) {
            (Dispatcher::Inline, Some(verifier)) => {
                Arc::new(Inline::new(verifier, config.sign_up_queue, stop.clone()))
            }
            (Dispatcher::Background, Some(verifier)) => {
                let retries = Retries {
                    attempts: config.background_attempts,
                    longest: config.background_age,
                };
                let (background, calls) =
                    Background::new(verifier, config.background_queue, retries);
                let calling = calls.run(stop.clone(), finish.clone());
                stages.work("background calls", stop, calling);
                Arc::new(background)
            }
            // The others without verification are refused by `build`.
            (Dispatcher::Jetstream, _) | (_, None) => {
                Arc::new(JetStream::new(outbox, self.clock.clone()))
            }
        }
    }
}

/// Where verification is, for the dispatchers that call it.
fn verification_url(config: &Config) -> Result<Option<String>, RefusedSetting> {
    let kind = match config.dispatcher {
        Dispatcher::Jetstream => return Ok(None),
        Dispatcher::Inline => "inline",
        Dispatcher::Background => "background",
    };
    let missing = || {
        RefusedSetting(format!(
            "USHER_VERIFICATION_URL is missing: the dispatcher `{kind}` calls verification. Set it to http://HOST:PORT or \
             dns:///HOST:PORT, or USHER_DISPATCHER to `jetstream`, which needs only the broker."
        ))
    };
    config
        .verification_url
        .clone()
        .ok_or_else(missing)
        .map(Some)
}

fn look_for_secrets(config: &Config) -> anyhow::Result<(Secrets, FingerprintKey)> {
    let mut looking = config.service.look_for_secrets()?;
    let database = looking.sqlite_path().map(PathBuf::from);
    let fingerprints =
        looking.take(|custody| fingerprint_key(config, database.as_deref(), custody))?;
    looking.take(|_| config.broker.look_for_login())?;
    looking.end(fingerprints)
}

/// `database` is the SQLite file, if it is one.
fn fingerprint_key(
    config: &Config,
    database: Option<&Path>,
    custody: Custody,
) -> anyhow::Result<FingerprintKey> {
    // With Postgres there is no such place, and a key of each replica's own would tell the same
    // request from itself.
    let beside_database = || Some(database?.with_file_name("fingerprint-key"));
    let file = config.fingerprint_key_file.clone().or_else(beside_database).ok_or_else(|| {
        RefusedSetting(
            "USHER_FINGERPRINT_KEY_FILE is missing: with Postgres, set it to a file that all replicas share."
                .to_owned(),
        )
    })?;
    let make = || random::secret() + "\n";
    const WHAT: &str = "The fingerprint key";
    let text = custody.read(&file, WHAT, make)?;
    let key = FingerprintKey::parse(&text);
    Ok(key.map_err(|why| FileRefused::makes_no_sense(WHAT, &file, &why))?)
}
