//! A whole system in the test's own process, with a network that can fail between its parts, and
//! `usher doctor` as the command that it is.

use std::process::Output;

use kit::{
    bus::{self, Bus, NatsUrl},
    serve::Degraded,
    testing::{
        Environment, NatsServer, Phase, Proxy, SOON, Service, SmallDisk, SmtpServer, World,
        eventually,
    },
};
use proto::accounts::{CreateAccountRequest, accounts_service_client::AccountsServiceClient};
use serde_json::Value;
use tokio::sync::Mutex;
use tonic::transport::Channel;

use crate::world::usher;

/// What stands under the system.
#[derive(Debug, Default)]
pub(super) struct Under {
    /// The database of accounts, on Postgres behind the network, under this name.
    pub(super) postgres: Option<&'static str>,
    /// The disk of accounts' database, or of the broker's store.
    pub(super) disk: Option<Disk>,
    /// What stands in the broker's configuration, and before its host.
    pub(super) login: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Database,
    Broker,
}

/// A running system.
pub(super) struct Ground {
    pub(super) nats: NatsServer,
    pub(super) to_nats: Proxy,
    pub(super) smtp: SmtpServer,
    pub(super) to_smtp: Proxy,
    pub(super) to_mailer: Proxy,
    pub(super) to_database: Option<Proxy>,
    pub(super) disk: Option<SmallDisk>,
    /// Those of mailer, verification and accounts.
    pub(super) worlds: [World; 3],
    pub(super) mailer: Option<Service<Channel>>,
    verification: Service<Channel>,
    accounts: Service<Channel>,
    /// For `doctor`: where everything is.
    environment: Environment,
}

impl Ground {
    /// Starts it and waits until everything is well; nothing where what stands under it cannot be
    /// had.
    pub(super) async fn start(under: &Under) -> Option<Self> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let turn = ONE_AT_A_TIME.lock().await;
        let disk = match under.disk {
            Some(_) => Some(SmallDisk::mount()?),
            None => None,
        };
        let (configuration, login) = under.login.unwrap_or_default();
        let nats = match (&disk, under.disk) {
            (Some(disk), Some(Disk::Broker)) => NatsServer::start_on(disk).await,
            _ => NatsServer::start_with(configuration).await,
        };
        let to_nats = Proxy::before(nats.url(), 1).await;
        let nats_url = to_nats
            .url(&nats.url())
            .replace("://", &format!("://{login}"));
        // First the streams: services look for them every few seconds only.
        let url: NatsUrl = nats_url.parse().expect("it is one");
        let bus = Bus::connect(&url.into(), "test").await;
        let bus = bus.expect("a connection need not be up yet");
        let made = async || bus::provision(&bus, None).await.ok();
        eventually("the streams", SOON, made).await;
        let accounts_world: World = match (&disk, under) {
            (
                Some(disk),
                Under {
                    disk: Some(Disk::Database),
                    ..
                },
            ) => World::on_disk(disk),
            (
                _,
                Under {
                    postgres: Some(name),
                    ..
                },
            ) => World::on_postgres_with::<accounts::migrations::Migrator>(name).await?,
            _ => World::on_sqlite(),
        };
        let worlds: [World; 3] = [World::on_sqlite(), World::on_sqlite(), accounts_world];
        let [mailer_world, verification_world, accounts_world] = &worlds;
        let smtp = SmtpServer::start().await;
        let to_smtp = Proxy::before(smtp.url(), 1).await;
        let token = mailer_world.file("admin-token").display().to_string();
        let shared = [("USHER_ADMIN_TOKEN_FILE", &*token)];
        let key = |world: &World| world.file("key").display().to_string();

        let settings = mailer_world.settings().with(&shared).with(&[
            ("USHER_MAIL_URL", &to_smtp.url(&smtp.url())),
            ("USHER_ADDRESS_KEY_FILE", &key(mailer_world)),
        ]);
        let build = async || {
            let app = mailer::app::App::build(settings.config(), mailer_world.clock.clone());
            app.await.ok()
        };
        let app = eventually("the mailer to start", SOON, build).await;
        let to_mailer = Proxy::before(app.addr(), 1).await;
        let mut environment = Environment::default().with(&shared).with(&[
            ("USHER_NATS_URL", &nats_url),
            ("USHER_MAILER_URL", &format!("http://{}", app.addr())),
            (
                "USHER_MAILER_ADMIN_URL",
                &format!("http://{}", app.admin_addr()),
            ),
        ]);
        let at = [app.addr(), app.admin_addr()];
        let mailer = Service::start(&settings, at, |stop| app.run_until(stop));

        let settings = verification_world.settings().with(&shared).with(&[
            ("USHER_NATS_URL", &nats_url),
            ("USHER_MAILER_URL", &format!("http://{}", to_mailer.addr())),
            ("USHER_CODE_KEYS_FILE", &key(verification_world)),
        ]);
        let build = async || {
            let app =
                verification::app::App::build(settings.config(), verification_world.clock.clone());
            app.await.ok()
        };
        let app = eventually("verification to start", SOON, build).await;
        environment = environment.with(&[
            ("USHER_VERIFICATION_URL", &format!("http://{}", app.addr())),
            (
                "USHER_VERIFICATION_ADMIN_URL",
                &format!("http://{}", app.admin_addr()),
            ),
        ]);
        let at = [app.addr(), app.admin_addr()];
        let verification = Service::start(&settings, at, |stop| app.run_until(stop));

        let fingerprints = accounts_world.file("fingerprint-key");
        let fingerprints = fingerprints.display().to_string();
        let mut settings = accounts_world.settings().with(&shared).with(&[
            ("USHER_NATS_URL", &nats_url),
            ("USHER_FINGERPRINT_KEY_FILE", &fingerprints),
        ]);
        let mut to_database = None;
        if under.postgres.is_some() {
            let url = settings.get("USHER_DATABASE_URL").to_owned();
            let proxy = Proxy::before(&url, 1).await;
            settings = settings.with(&[("USHER_DATABASE_URL", &proxy.url(&url))]);
            to_database = Some(proxy);
        }
        let build = async || {
            let app = accounts::app::App::build(settings.config(), accounts_world.clock.clone());
            app.await.ok()
        };
        let app = eventually("accounts to start", SOON, build).await;
        environment = environment.with(&[
            ("USHER_ACCOUNTS_URL", &format!("http://{}", app.addr())),
            (
                "USHER_ACCOUNTS_ADMIN_URL",
                &format!("http://{}", app.admin_addr()),
            ),
        ]);
        let at = [app.addr(), app.admin_addr()];
        let accounts = Service::start(&settings, at, |stop| app.run_until(stop));

        let ground = Self {
            nats,
            to_nats,
            smtp,
            to_smtp,
            to_mailer,
            to_database,
            disk,
            worlds,
            mailer: Some(mailer),
            verification,
            accounts,
            environment,
        };
        drop(turn);
        let well = async || {
            let mut all = true;
            for service in ["accounts", "verification", "mailer"] {
                all &= ground.readiness(service).await.1["degraded"] == serde_json::json!({});
            }
            all.then_some(())
        };
        eventually("everything to be well", SOON * 2, well).await;
        Some(ground)
    }

    /// What a service says of itself: whether it is ready, and the body.
    pub(super) async fn readiness(&self, service: &str) -> (bool, Value) {
        let service = match service {
            "accounts" => &self.accounts,
            "verification" => &self.verification,
            _ => self.mailer.as_ref().expect("the mailer runs"),
        };
        let (code, body) = service.probe("/readyz").await;
        let body = serde_json::from_str(&body).expect("the body is JSON");
        (code == 200, body)
    }

    /// Signs somebody up, if that can be done just now.
    pub(super) async fn sign_up(&self, number: usize) {
        let request = CreateAccountRequest {
            email: format!("person{number}@example.com"),
            display_name: "Ada".to_owned(),
            locale: "en".to_owned(),
        };
        let mut client = AccountsServiceClient::new(self.accounts.client());
        let _ = client.create_account(request).await;
    }

    /// Each mailbox is refused in words that are said of everybody.
    pub(super) fn refuse_all(&self) {
        let refusal = self.smtp.on(Phase::Rcpt);
        refusal.answer(550, "relay not permitted");
    }

    /// Runs a command against the system.
    pub(super) async fn usher(&self, arguments: &[&str]) -> Output {
        let mut command = usher();
        command.args(arguments).args(["--output", "json"]);
        command.envs(self.environment.pairs());
        let output = tokio::process::Command::from(command).output().await;
        output.expect("usher can be run")
    }

    /// The findings of `doctor` that are none of a healthy system, as part, words and advice.
    pub(super) async fn doctor(&self) -> Vec<(String, Degraded)> {
        let output = self.usher(&["doctor"]).await;
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut problems = Vec::new();
        for finding in &findings {
            let text = |field| finding[field].as_str().unwrap_or_default().to_owned();
            if text("level") == "problem" {
                problems.push((text("part"), Degraded::new(text("what"), text("advice"))));
            }
        }
        let should_fail = !problems.is_empty();
        assert_eq!(output.status.code() == Some(1), should_fail, "{problems:?}");
        problems
    }
}
