//! Composes the mailer from its settings and runs it until it is told to stop: the one place that knows every part.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use kit::{
    clock::Clock,
    db::Db,
    serve::{self, AdminToken, Health, MESSAGE_LIMIT, Server, Stages, Surface},
    telemetry,
};
use proto::mailer::{
    mailer_admin_server::{MailerAdminServer, SERVICE_NAME as ADMIN_NAME},
    mailer_service_server::{MailerServiceServer, SERVICE_NAME},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    admission::Admission,
    commands::{
        claim::Claims,
        deliver::Deliver,
        forget_mails,
        keep_leases::{self, Leases},
        look_up::LookUps,
        record_outcome::Outcomes,
    },
    config::Config,
    domain::AddressKeys,
    grpc::{Admin, Public, StreamRules},
    mail::Composer,
    metrics::Metrics,
    migrations::Migrator,
    store::mails,
    transport::{Folder, MailUrl, Smtp, Transport},
};

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("mailer", &config.telemetry)?;
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
    server: Server,
    token: AdminToken,
    keys: AddressKeys,
    transport: Arc<Transport>,
    composer: Arc<Composer>,
}

impl App {
    /// Opens the database, binds the listeners and reads the secrets. An SQLite database is migrated; a Postgres one
    /// is `usher migrate`'s business. Neither the mail server nor Postgres is waited for.
    ///
    /// # Errors
    /// What cannot be opened, bound or read, as a sentence.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let db = open_database(&config, clock.clone()).await?;
        let server = Server::bind(config.listen, config.admin_listen).await?;
        let token = AdminToken::read_or_make(&config.admin_token_file)?;
        let keys = address_keys(&config, &clock)?;
        let transport = transport(&config)?;
        let composer = Composer::new(config.mail_from.clone(), config.public_url.clone())
            .context("The compiled-in templates do not fit together.")?;
        Ok(Self {
            config,
            clock,
            db,
            server,
            token,
            keys,
            transport: Arc::new(transport),
            composer: Arc::new(composer),
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

    /// Serves until `shutdown`, then answers what it holds and ends what does not end by itself.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stages = Stages::default();
        let cut = CancellationToken::new();
        let public = self.start_workers(&stages, &cut);
        let health = Health::new::<Migrator>(self.db.clone());
        public.deliver.admission.show_in(&health);
        let public = MailerServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
        let Self {
            config,
            db,
            server,
            token,
            transport,
            ..
        } = self;
        let admin = MailerAdminServer::new(Admin { db: db.clone() })
            .max_decoding_message_size(MESSAGE_LIMIT);
        let surface = Surface {
            public: Routes::new(public),
            names: &[SERVICE_NAME],
            admin: Routes::new(admin),
            admin_names: &[ADMIN_NAME],
            token,
            health,
        };
        let cutting = tokio::spawn(cut_after(
            stages.stop.clone(),
            config.times.stop_grace,
            cut.clone(),
        ));
        let served = server.run(surface, stages, shutdown).await;
        cutting.abort();
        cut.cancel();
        transport.close().await;
        db.close().await;
        served
    }

    /// Starts all that works without being called, and returns what is called.
    fn start_workers(&self, stages: &Stages, cut: &CancellationToken) -> Public {
        let Self {
            config,
            clock,
            db,
            keys,
            ..
        } = self;
        let lease = config.times.lease;
        let metrics = Metrics::new();
        let leases = Leases::default();

        let look_ups = LookUps::start(db.clone(), keys.clone());
        let claims = Claims::start(
            db.clone(),
            clock.clone(),
            keys.clone(),
            leases.clone(),
            lease,
        );
        let outcomes = Outcomes::start(db.clone(), clock.clone(), cut.clone());
        let deliver = Deliver {
            look_ups,
            admission: Admission::new(config.mail_connections, &config.rules, metrics.clone()),
            claims,
            composer: Arc::clone(&self.composer),
            transport: Arc::clone(&self.transport),
            outcomes,
            metrics,
            cut: cut.clone(),
        };

        // No shutdown waits for this one: it goes on until the last attempt has ended or was cut.
        tokio::spawn(keep_leases::run(db.clone(), leases, lease, cut.clone()));
        stages
            .tasks
            .spawn(forget_mails::run(db.clone(), stages.stop.clone()));
        Public {
            deliver: Arc::new(deliver),
            db: db.clone(),
            clock: clock.clone(),
            stages: stages.clone(),
            rules: StreamRules {
                window: window(config.mail_connections),
                age: config.times.stream_age,
            },
        }
    }
}

/// SQLite is the local mode: this process owns the file, makes its tables, and knows that whoever held a lease when
/// it was closed is dead. On Postgres `usher migrate` makes the tables, and leases pass by themselves.
async fn open_database(config: &Config, clock: Clock) -> anyhow::Result<Db> {
    let db = Db::connect(&config.database_url, clock).await?;
    if config.database_url.sqlite_path().is_some() {
        db.migrate::<Migrator>()
            .await
            .context("The database cannot be migrated.")?;
        end_leases(&db)
            .await
            .context("The leases of the last run cannot be ended.")?;
    }
    Ok(db)
}

async fn end_leases(db: &Db) -> Result<(), sea_orm::DbErr> {
    let tx = db.begin().await?;
    let now = db.now(&tx).await?;
    mails::end_all_leases(&tx, now).await?;
    tx.commit().await
}

fn address_keys(config: &Config, clock: &Clock) -> anyhow::Result<AddressKeys> {
    let file = &config.address_key_file;
    let make = || AddressKeys::line(&clock.uuid_v7().simple().to_string(), &kit::random::bytes());
    let text = serve::read_or_make(file, "The mailer's ring of address keys", make)?;
    AddressKeys::parse(&text)
        .with_context(|| format!("The address keys in {} cannot be used.", file.display()))
}

fn transport(config: &Config) -> anyhow::Result<Transport> {
    let transport = match config.mail_url.clone() {
        MailUrl::Smtp(server) => {
            Transport::Smtp(Box::new(Smtp::new(server, config.deadlines.clone())?))
        }
        MailUrl::Folder(path) => Transport::Folder(Folder::new(path)),
    };
    Ok(transport)
}

/// Mails that a stream may hold: enough for every connection to find its next mail waiting.
fn window(connections: u16) -> u32 {
    u32::from(connections).saturating_mul(16).min(1_024)
}

/// Attempts may end by themselves for a while after the stop; then they are cut, early enough to be recorded.
async fn cut_after(stop: CancellationToken, grace: Duration, cut: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
    cut.cancel();
}
