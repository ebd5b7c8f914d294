//! Composes the mailer from its settings and runs it until it is told to stop: the one place that
//! knows every part.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use kit::{
    clock::Clock,
    config::RefusedSetting,
    files::{Custody, FileRefused},
    keyring::KeyRing,
    serve::{self, Health, MESSAGE_LIMIT, Parts, Secrets, Stages, Surface},
    telemetry, words,
};
use proto::mailer::{
    mailer_admin_server::{MailerAdminServer, SERVICE_NAME as ADMIN_NAME},
    mailer_service_server::{MailerServiceServer, SERVICE_NAME},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    admission::{Admission, Refusals},
    commands::{
        claim::Claims,
        deliver::Deliver,
        end_stale_claims::end_stale_claims,
        forget_mails,
        keep_leases::{self, Leases},
        look_up::LookUps,
        record_outcome::Outcomes,
        rounds::Rounds,
    },
    config::Config,
    domain::AddressKeys,
    grpc::{Admin, Public},
    mail::Composer,
    metrics::Metrics,
    migrations::Migrator,
    transport::{CurrentTransport, Outfit},
};

/// What people notice of a service that is not ready.
const NOT_READY: &str =
    "People can sign up, but get no mail until it is; mails wait, and none is lost.";

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("mailer", &config.service.telemetry)?;
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
    keys: AddressKeys,
    transport: CurrentTransport,
    composer: Arc<Composer>,
}

impl App {
    /// Reads the secrets, opens the database and binds the listeners. An SQLite database is
    /// migrated; a Postgres one is `usher migrate`'s business. Secrets are waited for where operators
    /// bring them; neither the mail server nor Postgres is.
    ///
    /// # Errors
    /// What cannot be read, opened or bound, as a sentence.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let (queue, streams) = (config.mail_queue, config.service.limits.streams());
        ensure!(
            queue > streams,
            "USHER_MAIL_QUEUE: each of the {streams} streams (USHER_STREAMS) keeps a place for its \
             next mail, and {queue} places leave none for others. Set it to more than {streams}.",
        );
        let settings = config.clone();
        let look = move || look_for_secrets(&settings);
        let service = &config.service;
        let opened = service.open::<Migrator, _>(NOT_READY, clock.clone(), look);
        let (parts, (keys, transport)) = opened.await?;
        // Before anything can be claimed: afterwards it would end claims of our own.
        // A full disk is no reason to be started again and again, after longer and longer pauses.
        if let Err(error) = end_stale_claims(&parts.db).await {
            tracing::warn!(%error, "Old claims were not ended; their mails wait for the lease.");
        }
        let composer = Composer::new(config.mail_from.clone(), config.public_url.clone())
            .context("The compiled-in templates do not fit together.")?;
        Ok(Self {
            config,
            clock,
            parts,
            keys,
            transport,
            composer: Arc::new(composer),
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

    /// Serves until `shutdown`, then answers what it holds and ends what does not end by itself.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stages = Stages::default();
        let cut = CancellationToken::new();
        let deliver = self.start_workers(&stages, &cut);
        let Self {
            config,
            clock,
            parts: Parts { db, server, token },
            transport,
            ..
        } = self;

        let health = Health::new::<Migrator>(db.clone(), NOT_READY);
        deliver.admission.show_in(&health);
        deliver.refusals.show_in(&health);
        let public = Public {
            deliver: Arc::new(deliver),
            db: db.clone(),
            clock,
            stages: stages.clone(),
            window: window(config.mail_connections),
            queue: Arc::new(Semaphore::new(config.mail_queue)),
        };
        let admin = Admin { db: db.clone() };
        let public = MailerServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
        let admin = MailerAdminServer::new(admin).max_decoding_message_size(MESSAGE_LIMIT);
        let surface = Surface {
            public: Routes::new(public),
            names: &[SERVICE_NAME],
            admin: Routes::new(admin),
            admin_names: &[ADMIN_NAME],
            token,
            health,
        };
        // Beside the server: the cut comes a while after the stop, while the server still waits for
        // answers.
        let (stop, grace) = (stages.stop.clone(), config.times.stop_grace);
        let cutting = tokio::spawn(cut_after(stop, grace, cut.clone()));
        let served = server.run(surface, stages, shutdown).await;
        cutting.abort();
        // Nobody is answered any more: leases and late notes end, too.
        cut.cancel();
        // Only now: until the cut an attempt may still take a kept connection.
        transport.now().close().await;
        db.close().await;
        served
    }

    /// Starts all that works without being called, and answers with the command that callers need.
    fn start_workers(&self, stages: &Stages, cut: &CancellationToken) -> Deliver {
        let (db, clock, config) = (&self.parts.db, &self.clock, &self.config);
        let (keys, lease) = (&self.keys, config.times.lease);
        let metrics = Metrics::new();

        let leases = Leases::default();
        let look_ups = LookUps::start(db.clone(), keys.clone(), lease);
        let claims = Claims {
            clock: clock.clone(),
            keys: keys.clone(),
            leases: leases.clone(),
            lease,
        };
        let rounds = Rounds::start(db.clone(), claims, cut.clone());
        let outcomes = Outcomes::new(rounds.clone(), clock.clone(), cut.clone());
        // No shutdown waits for this one: it goes on until the last attempt has ended or was cut.
        let keeping = keep_leases::run(db.clone(), leases, lease, cut.clone());
        stages.work_on("leases", cut, keeping);

        let (stop, transport) = (stages.stop.clone(), self.transport.clone());
        let following = async move {
            let _ = stop.run_until_cancelled(transport.follow()).await;
        };
        stages.work("mail URL", &stages.stop, following);
        let forgetting = forget_mails::run(db.clone(), stages.stop.clone());
        stages.work("housekeeping", &stages.stop, forgetting);
        tracing::info!("Look-ups, the ledger's rounds, leases and housekeeping are at work.");
        Deliver {
            look_ups,
            admission: Admission::new(config.mail_connections, &config.patience, metrics.clone()),
            rounds,
            refusals: Refusals::new(keys.clone()),
            composer: Arc::clone(&self.composer),
            transport: self.transport.clone(),
            outcomes,
            metrics,
            cut: cut.clone(),
        }
    }
}

fn look_for_secrets(config: &Config) -> anyhow::Result<(Secrets, (AddressKeys, CurrentTransport))> {
    let mut looking = config.service.look_for_secrets()?;
    let keys = looking.take(|custody| address_keys(config, custody))?;
    let transport = looking.take(|custody| {
        let opened = CurrentTransport::open(Outfit {
            url: config.mail_url.clone(),
            file: config.mail_url_file.clone(),
            hello: config.mail_helo.clone(),
            deadlines: config.deadlines.clone(),
        });
        // The certificates that the URL names are a file as the others are, and may be yet to come.
        opened.map_err(|error| match custody {
            Custody::Operators if error.is::<RefusedSetting>() => anyhow!(words::of_chain(&error)),
            _ => error,
        })
    })?;
    looking.end(keys.zip(transport))
}

fn address_keys(config: &Config, custody: Custody) -> anyhow::Result<AddressKeys> {
    let file = &config.address_key_file;
    const WHAT: &str = "The mailer's ring of address keys";
    let text = custody.read(file, WHAT, KeyRing::fresh_text)?;
    let keys = AddressKeys::parse(&text);
    Ok(keys
        .map_err(|why| FileRefused::makes_no_sense(WHAT, file, &why).mended_by(why.mend(file)))?)
}

/// Mails that a stream may hold.
fn window(connections: u16) -> u32 {
    // Enough for every connection to find its next mail waiting; most of what waits here is nowhere
    // written down, so more would only be offered once more after a crash.
    u32::from(connections).saturating_mul(16).min(1_024)
}

async fn cut_after(stop: CancellationToken, grace: Duration, cut: CancellationToken) {
    stop.cancelled().await;
    // Attempts may end by themselves for a while; then they are cut, early enough to be recorded.
    tokio::time::sleep(grace).await;
    cut.cancel();
}
