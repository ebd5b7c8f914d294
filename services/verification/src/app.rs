//! Puts the service together and runs it: the one place that knows every part.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use anyhow::Context as _;
use kit::{
    bus::{self, Bus, Consumer, DeadLetters, Durable, Handler},
    clock::Clock,
    outbox::{self, Relay},
    serve::{self, Degraded, Health, MESSAGE_LIMIT, Parts, Replicas, Secrets, Stages, Surface},
    telemetry,
    watch::Watches,
};
use proto::verification::{
    verification_admin_server::{SERVICE_NAME as ADMIN_NAME, VerificationAdminServer},
    verification_service_server::{SERVICE_NAME, VerificationServiceServer},
};
use tokio::sync::{Notify, Semaphore};
use tonic::service::Routes;
use uuid::Uuid;

use crate::{
    code_keys::CodeKeys,
    commands::{
        CodeRules, FirstCodes, IssueCode, Metrics, await_mail::AwaitMail, claim_mails::ClaimMails,
        confirm_code::ConfirmCode, count_codes::CountCodes, count_due, forget_resends,
        issue_first_code::IssueFirstCode, replace_unsendable::ReplaceUnsendable, reschedule_mails,
        resend_code::ResendCode, serve_resends::ServeResends,
        start_verifications::StartVerifications, watch_verification,
    },
    config::Config,
    consumer::NewAccounts,
    delivery::{Incoming, MailLoop, Queue},
    grpc::{Admin, IssueCalls, Public},
    migrations::Migrator,
};

/// What people notice of a service that is not ready, and of a mailer that takes no mails.
const NOT_READY: &str =
    "Nobody can confirm a code, and who signs up gets no mail, until it is; nothing is lost.";
const MAILS_WAIT: &str = "People can sign up, but their mails wait; none is lost.";
/// The same of keys that this replica lacks.
const SOME_CODES_WAIT: &str = "Whoever has a code of a key that is not known here gets no mail from this replica and cannot \
                               confirm at it; the other replicas serve them.";

/// What to do about a mailer that takes no mails.
const MAILER_AWAY: &str =
    "Bring the mailer back, or correct USHER_MAILER_URL; `usher doctor` says how the mailer is.";

/// Guesses and wishes for another code that are worked on at once, both together: the one writer of
/// SQLite does so many in less time than others wait for it.
const AT_ONCE: usize = 512;

/// The durable by which this service reads events, as it should be.
pub fn durable() -> Durable {
    NewAccounts::durable()
}

/// Runs the service as a process: with telemetry of its own, until `shutdown`.
///
/// # Errors
/// What `App::build` and `App::run_until` say.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let telemetry = telemetry::init("verification", &config.service.telemetry)?;
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
    parts: Parts,
    bus: Bus,
    keys: CodeKeys,
    mailers: Replicas,
}

impl App {
    /// Reads the secrets, opens the database and binds the listeners. An SQLite database is
    /// migrated; a Postgres one is `usher migrate`'s business. Secrets are waited for where operators
    /// bring them; neither broker nor mailer nor Postgres is.
    ///
    /// # Errors
    /// What cannot be read, opened or bound, as a sentence.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let urls = config.mailer_url.iter().map(|url| url.trim());
        let mailers = Replicas::of(urls).context("USHER_MAILER_URL cannot be used.")?;
        let settings = config.clone();
        let look = move || look_for_secrets(&settings);
        let opened = config.service.open::<Migrator, _>(NOT_READY, clock, look);
        let (parts, keys) = opened.await?;
        let bus = Bus::connect(&config.broker, "verification").await?;
        Ok(Self {
            config,
            parts,
            bus,
            keys,
            mailers,
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

    /// Serves until `shutdown`, then answers what was begun, records what is under way and
    /// publishes what is left.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stages = Stages::default();
        let (public, admin, queue) = self.start_workers(&stages);
        let Self {
            parts: Parts { db, server, token },
            bus,
            keys,
            ..
        } = self;

        let health = Health::new::<Migrator>(db.clone(), NOT_READY);
        bus.show_in(&health);
        health.depends_on("mailer", MAILS_WAIT, move || {
            let what = "takes no mails; they wait in the database";
            (!queue.is_sending()).then(|| Degraded::new(what, MAILER_AWAY))
        });
        let told = keys.clone();
        health.says("code_keys", move || told.said());
        health.depends_on("code keys", SOME_CODES_WAIT, move || keys.trouble());
        let public =
            VerificationServiceServer::new(public).max_decoding_message_size(MESSAGE_LIMIT);
        let admin = VerificationAdminServer::new(admin).max_decoding_message_size(MESSAGE_LIMIT);
        let surface = Surface {
            public: Routes::new(public),
            names: &[SERVICE_NAME],
            admin: Routes::new(admin),
            admin_names: &[ADMIN_NAME],
            token,
            health,
        };
        let served = server.run(surface, stages, shutdown).await;
        // Nobody writes any more: SQLite folds its log into the one file.
        db.close().await;
        served
    }

    /// Starts all that works without being called, and answers with what is called, and the queue
    /// to the delivery.
    fn start_workers(&mut self, stages: &Stages) -> (Public, Admin, Queue) {
        let mailers = std::mem::take(&mut self.mailers);
        let (db, config) = (self.parts.db.clone(), &self.config);
        let finish = &stages.finish;
        let watches = Watches::default();

        // Until `finish`: what the last answers commit is published, too.
        let settings = outbox::RelaySettings {
            lease: config.outbox_lease,
            ..Default::default()
        };
        let (outbox, relay) = Relay::new(db.clone(), self.bus.clone(), settings);
        stages.work("relay", finish, relay.run(finish.clone()));

        // The delivery before the consumer: what the first events commit finds it at work.
        let (queue, incoming) = Queue::new(config.delivery_queue);
        let became_due = Arc::new(Notify::new());
        let claim_mails = ClaimMails {
            db: db.clone(),
            keys: self.keys.clone(),
            lease: config.delivery_lease,
            watches: watches.clone(),
        };
        let to_mailers = ((queue.clone(), incoming), mailers);
        self.start_delivery(stages, claim_mails, to_mailers, &became_due);
        let dead_letters = self.start_consumer(stages, queue.clone(), watches.clone());
        let issue_code = self.issue_calls(stages, queue.clone(), watches.clone());

        let serve_resends = ServeResends {
            db: db.clone(),
            issue: self.issue_code(),
            watches: watches.clone(),
            became_due: Arc::clone(&became_due),
        };
        self.start_housekeeping(stages, serve_resends.clone(), watches.clone(), became_due);
        tracing::info!("Relay, delivery, consumer, resends, watches and housekeeping are at work.");

        let room = Arc::new(Semaphore::new(AT_ONCE));
        let confirm_code = ConfirmCode {
            db: db.clone(),
            keys: self.keys.clone(),
            outbox,
            watches: watches.clone(),
            room: room.clone(),
        };
        let resend_code = ResendCode {
            db: db.clone(),
            keys: self.keys.clone(),
            serve_resends,
            room,
        };
        let admin = Admin {
            dead_letters,
            count_codes: CountCodes {
                db: db.clone(),
                keys: self.keys.clone(),
            },
        };
        let public = Public {
            db,
            issue_code,
            confirm_code,
            resend_code,
            watches,
        };
        (public, admin, queue)
    }

    /// Starts what hands mails to the mailers.
    fn start_delivery(
        &self,
        stages: &Stages,
        claim_mails: ClaimMails,
        (queue, mailers): ((Queue, Incoming), Replicas),
        became_due: &Arc<Notify>,
    ) {
        let (stop, metrics) = (&stages.stop, Metrics::new());
        let (db, keys) = (self.parts.db.clone(), self.keys.clone());
        let counting = count_due::run(db, keys, metrics.clone(), stop.clone());
        stages.work("count of due mails", stop, counting);

        let tick = self.config.delivery_tick;
        let mail_loop = MailLoop::new(claim_mails, queue, mailers, metrics, tick);
        let delivering = mail_loop.run(Arc::clone(became_due), stop.clone());
        stages.work("delivery", stop, delivering);
    }

    /// Starts the consumer, and answers with what becomes of the messages that it cannot handle.
    fn start_consumer(&self, stages: &Stages, queue: Queue, watches: Watches<Uuid>) -> DeadLetters {
        let settings = bus::ConsumerSettings {
            ack_wait: self.config.ack_wait,
            ..Default::default()
        };
        let (bus, db) = (self.bus.clone(), self.parts.db.clone());
        let start_verifications = StartVerifications {
            db: db.clone(),
            first_codes: self.first_codes(),
            watches,
        };
        let new_accounts = NewAccounts {
            start_verifications,
            queue,
        };
        let handler = Handler::new(move |batch| new_accounts.clone().handle(batch));
        let consumer = Consumer::new(bus, db.clone(), durable(), settings);
        let consuming = consumer.run(handler.clone(), stages.stop.clone());
        stages.work("consumer", &stages.stop, consuming);
        DeadLetters::new(db, handler)
    }

    /// What answers those who tell of accounts without a broker.
    fn issue_calls(&self, stages: &Stages, queue: Queue, watches: Watches<Uuid>) -> IssueCalls {
        let (db, room) = (self.parts.db.clone(), self.config.issue_queue);
        let (first_codes, watched) = (self.first_codes(), watches.clone());
        IssueCalls {
            token: self.parts.token.clone(),
            issue_first_code: IssueFirstCode::start(db.clone(), first_codes, watched, room),
            await_mail: AwaitMail {
                db,
                watches,
                room: Arc::new(Semaphore::new(room)),
                stop: stages.stop.clone(),
            },
            queue,
        }
    }

    /// Starts what looks after codes and whoever watches them.
    fn start_housekeeping(
        &self,
        stages: &Stages,
        serve_resends: ServeResends,
        watches: Watches<Uuid>,
        became_due: Arc<Notify>,
    ) {
        let (db, tick) = (self.parts.db.clone(), self.config.delivery_tick);
        let stop = &stages.stop;
        let replace_unsendable = ReplaceUnsendable {
            db: db.clone(),
            issue: self.issue_code(),
            lease: self.config.delivery_lease,
            watches: watches.clone(),
            became_due,
        };
        let following = self.keys.clone().follow(stop.clone());
        stages.work("key ring", stop, following);
        let replacing = replace_unsendable.clone().retired(tick, stop.clone());
        stages.work("retired keys", stop, replacing);
        stages.work("resends", stop, serve_resends.run(tick, stop.clone()));
        let replacing = replace_unsendable.expired(tick, stop.clone());
        stages.work("expiry", stop, replacing);
        let rescheduling = reschedule_mails::run(db.clone(), tick, stop.clone());
        stages.work("schedule", stop, rescheduling);
        let forgetting = forget_resends::run(db.clone(), stop.clone());
        stages.work("housekeeping", stop, forgetting);
        let watching = watch_verification::run(db, watches, stop.clone());
        stages.work("watches", stop, watching);
    }

    fn first_codes(&self) -> FirstCodes {
        FirstCodes {
            issue: self.issue_code(),
            lease: self.config.delivery_lease,
        }
    }

    fn issue_code(&self) -> IssueCode {
        IssueCode {
            keys: self.keys.clone(),
            rules: CodeRules {
                length: self.config.code_digits,
                lifetime: self.config.code_lifetime,
            },
        }
    }
}

fn look_for_secrets(config: &Config) -> anyhow::Result<(Secrets, CodeKeys)> {
    let mut looking = config.service.look_for_secrets()?;
    let keys = looking.take(|custody| CodeKeys::open(&config.code_keys_file, custody))?;
    looking.take(|_| config.broker.look_for_login())?;
    looking.end(keys)
}
