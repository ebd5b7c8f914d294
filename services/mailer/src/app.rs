//! Composes the mailer from its settings and runs it until it is told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use kit::{
    clock::Clock,
    db::Db,
    serve::{AdminToken, Health, MESSAGE_LIMIT, Server, Stages, Surface, read_or_make},
    telemetry,
};
use proto::mailer::{
    mailer_admin_server::{MailerAdminServer, SERVICE_NAME as ADMIN_NAME},
    mailer_service_server::{MailerServiceServer, SERVICE_NAME},
};
use sea_orm::DbBackend;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    admission::{Admission, Rules},
    commands::deliver::Mailer,
    config::{Config, Times},
    domain::AddressKeys,
    grpc::{Admin, Public, StreamRules},
    ledger::Ledger,
    mail::template::Templates,
    metrics::Metrics,
    migrations::Migrator,
    purge,
    store::mails,
    transport::{Deadlines, Folder, MailUrl, Smtp, Transport},
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

/// The composed service.
#[derive(Debug)]
pub struct App {
    server: Server,
    mailer: Arc<Mailer>,
    db: Db,
    clock: Clock,
    token: AdminToken,
    stages: Stages,
    rules: StreamRules,
}

impl App {
    /// Opens everything that the settings name; nothing is sent yet.
    ///
    /// # Errors
    /// When a file, the database or an address cannot be used.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let server = Server::bind(config.listen, config.admin_listen).await?;
        let token = AdminToken::read_or_make(&config.admin_token_file)?;
        let keys = read_or_make(
            &config.address_key_file,
            "The mailer's ring of address keys",
            || AddressKeys::line(&clock.uuid_v7().simple().to_string(), &kit::random::bytes()),
        )?;
        let unreadable = || {
            format!(
                "The address keys in {} cannot be used.",
                config.address_key_file.display()
            )
        };
        let keys = AddressKeys::parse(&keys).with_context(unreadable)?;
        let db = open_database(&config, clock.clone()).await?;
        let (stages, metrics, cut) = (Stages::default(), Metrics::new(), CancellationToken::new());
        let connections = usize::from(config.mail_connections);
        let mailer = Arc::new(Mailer {
            ledger: Ledger::open(
                db.clone(),
                clock.clone(),
                keys,
                config.times.lease,
                cut.clone(),
            ),
            admission: Admission::new(&rules(connections, &config.times), metrics.clone()),
            transport: transport(config.mail_url, &config.times)?,
            templates: Templates::compile()
                .context("The compiled-in templates do not fit together.")?,
            sender: config.mail_from,
            public_url: config.public_url,
            metrics,
            cut,
        });
        let window = u32::from(config.mail_connections)
            .saturating_mul(16)
            .min(1_024);
        let rules = StreamRules {
            window,
            age: config.times.stream_age,
            grace: config.times.stop_grace,
        };
        Ok(Self {
            server,
            mailer,
            db,
            clock,
            token,
            stages,
            rules,
        })
    }

    /// Where the gRPC service listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Where operators and probes ask.
    pub fn admin_addr(&self) -> SocketAddr {
        self.server.admin_addr()
    }

    /// Serves until `shutdown`, then answers what it holds and ends what does not end by itself.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self {
            server,
            mailer,
            db,
            clock,
            token,
            stages,
            rules,
        } = self;
        let health = Health::new::<Migrator>(db.clone());
        mailer.admission.show_in(&health);
        let grace = rules.grace;
        let public = Public {
            mailer: mailer.clone(),
            clock,
            stages: stages.clone(),
            rules,
        };
        let public = MailerServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
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
        stages
            .tasks
            .spawn(purge::run(db.clone(), stages.stop.clone()));
        let cutting = tokio::spawn(cut_after(stages.stop.clone(), grace, mailer.cut.clone()));
        let served = server.run(surface, stages, shutdown).await;
        cutting.abort();
        mailer.cut.cancel();
        mailer.transport.close().await;
        db.close().await;
        served
    }
}

/// SQLite is the local mode: this process owns the file, makes its tables, and knows that whoever held a lease when
/// it was closed is dead. On Postgres `usher migrate` makes the tables, and leases pass by themselves.
async fn open_database(config: &Config, clock: Clock) -> anyhow::Result<Db> {
    let db = Db::connect(&config.database_url, clock).await?;
    if db.backend() == DbBackend::Sqlite {
        db.migrate::<Migrator>()
            .await
            .context("The mailer's tables cannot be made.")?;
        let tx = db.begin().await?;
        let now = db.now(&tx).await?;
        mails::end_all_leases(&tx, now).await?;
        tx.commit()
            .await
            .context("The leases of the last run cannot be ended.")?;
    }
    Ok(db)
}

fn transport(url: MailUrl, times: &Times) -> anyhow::Result<Transport> {
    let deadlines = Deadlines {
        connect: times.connect_deadline,
        tls: times.tls_deadline,
        greeting: times.greeting_deadline,
        command: times.command_deadline,
        data: times.data_deadline,
        reply: times.reply_deadline,
    };
    Ok(match url {
        MailUrl::Smtp(server) => Transport::Smtp(Box::new(Smtp::new(server, deadlines)?)),
        MailUrl::Folder(path) => Transport::Folder(Folder::new(path)),
    })
}

fn rules(connections: usize, times: &Times) -> Rules {
    Rules {
        connections,
        slow_after: times.slow_after,
        first_pause: times.first_pause,
        longest_pause: times.longest_pause,
    }
}

/// Attempts may end by themselves for a while after the stop; then they are cut, early enough to be settled.
async fn cut_after(stop: CancellationToken, grace: Duration, cut: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
    cut.cancel();
}
