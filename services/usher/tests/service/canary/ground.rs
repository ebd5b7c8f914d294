//! The whole system as separate processes, everything with a password: three databases on Postgres,
//! a broker and a mail server that demand a login. Whatever anybody writes is kept.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use kit::{
    bus::{self, Bus, NatsUrl},
    testing::{
        Environment, NatsServer, Postgres, SOON, Setup, SmtpServer, Tls, World, eventually,
        free_port, make_secrets,
    },
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    processes::{STOP, ends_within, signal},
    world::usher,
};

/// Of the database, of the broker and of the mail server: as they are, and as URLs hold them.
pub(super) const PASSWORDS: [(&str, &str); 3] = [
    ("dB#canary/qK7w?x", "dB%23canary%2FqK7w%3Fx"),
    ("nAts#canary/vT4e?y", "nAts%23canary%2FvT4e%3Fy"),
    ("sMtp#canary/hR9u?z", "sMtp%23canary%2FhR9u%3Fz"),
];
/// One that none of them takes.
pub(super) const WRONG: (&str, &str) = ("wRong#canary/pL2m?q", "wRong%23canary%2FpL2m%3Fq");

pub(super) const SERVICES: [&str; 3] = ["accounts", "verification", "mailer"];

pub(super) struct Ground {
    pub(super) nats: NatsServer,
    pub(super) smtp: SmtpServer,
    /// Of each service, past it.
    pub(super) databases: HashMap<&'static str, World>,
    folder: TempDir,
    ports: HashMap<&'static str, [u16; 2]>,
    collector: String,
    running: HashMap<&'static str, Child>,
}

impl Ground {
    /// Nothing where there is no Postgres.
    pub(super) async fn prepare(collector: &str) -> Option<Self> {
        let mut databases = HashMap::new();
        databases.insert(
            "accounts",
            World::on_postgres_with::<accounts::migrations::Migrator>("canary_accounts").await?,
        );
        databases.insert(
            "verification",
            World::on_postgres_with::<verification::migrations::Migrator>("canary_verification")
                .await?,
        );
        databases.insert(
            "mailer",
            World::on_postgres_with::<mailer::migrations::Migrator>("canary_mailer").await?,
        );
        demand_a_password(&databases["accounts"]).await;
        let [_, (nats, _), (smtp, _)] = PASSWORDS;
        let nats = format!("authorization {{ user: usher, password: {nats:?} }}\n");
        let setup = Setup {
            tls: Tls::StartTls,
            login: Some(("usher".to_owned(), smtp.to_owned())),
            ..Setup::default()
        };
        let ground = Self {
            nats: NatsServer::start_with(&nats).await,
            smtp: SmtpServer::with(setup).await,
            databases,
            folder: kit::testing::folder(),
            ports: SERVICES
                .map(|name| (name, [free_port(), free_port()]))
                .into(),
            collector: collector.to_owned(),
            running: HashMap::new(),
        };
        make_secrets(ground.folder.path());
        fs::write(ground.file("ca.pem"), ground.smtp.ca_pem()).expect("a file can be written");
        let made = async || bus::provision(&ground.bus().await, None).await.ok();
        eventually("the streams", SOON, made).await;
        Some(ground)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn nats_url(&self, password: &str) -> String {
        let url = self.nats.url();
        url.replace("://", &format!("://usher:{password}@"))
    }

    pub(super) fn mail_url(&self, password: &str) -> String {
        let url = self.smtp.url();
        let ca = self.file("ca.pem");
        let url = url.replace("://", &format!("://usher:{password}@"));
        format!("{url}?ca={}", ca.display())
    }

    pub(super) fn database_url(&self, service: &str, password: &str) -> String {
        let url = self.databases[service]
            .settings()
            .get("USHER_DATABASE_URL")
            .to_owned();
        url.replace("://usher@", &format!("://canary:{password}@"))
    }

    /// A way to the broker past the services.
    pub(super) async fn bus(&self) -> Bus {
        let url: NatsUrl = self.nats_url(PASSWORDS[1].1).parse().expect("it is one");
        let bus = Bus::connect(&url.into(), "test").await;
        bus.expect("a connection need not be up yet")
    }

    /// What services and commands are told.
    pub(super) fn environment(&self) -> Environment {
        let mut environment = Environment::default();
        for service in SERVICES {
            let name = service.to_uppercase();
            for (port, of) in self.ports[service].iter().zip(["", "_ADMIN"]) {
                let (variable, url) = (format!("USHER_{name}{of}_URL"), at(*port));
                environment = environment.with(&[(&variable, &format!("http://{url}"))]);
            }
        }
        environment.with(&[
            ("USHER_NATS_URL", &self.nats_url(PASSWORDS[1].1)),
            ("USHER_MAIL_URL", &self.mail_url(PASSWORDS[2].1)),
            ("USHER_ADMIN_TOKEN_FILE", "admin-token"),
            ("USHER_FINGERPRINT_KEY_FILE", "fingerprint-key"),
            ("USHER_CODE_KEYS_FILE", "code-keys"),
            ("USHER_ADDRESS_KEY_FILE", "address-keys"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.collector),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("RUST_LOG", "trace"),
        ])
    }

    fn command(&self, arguments: &[&str], more: &[(&str, &str)]) -> Command {
        let mut command = usher();
        command.args(arguments).current_dir(self.folder.path());
        command.envs(self.environment().with(more).pairs());
        command
    }

    /// Starts a service, whose log goes on in its file.
    pub(super) fn start(&mut self, service: &'static str, more: &[(&str, &str)]) {
        let [listen, admin] = self.ports[service].map(at);
        let (url, log) = (
            self.database_url(service, PASSWORDS[0].1),
            File::options()
                .create(true)
                .append(true)
                .open(self.file(&format!("{service}.log"))),
        );
        let mut command = self.command(&[service], &[]);
        command
            .env("USHER_LISTEN", listen)
            .env("USHER_ADMIN_LISTEN", admin)
            .env("USHER_DATABASE_URL", url)
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(log.expect("the folder can be written"));
        let child = command.spawn().expect("usher can be run");
        self.running.insert(service, child);
    }

    /// Ends a service by a signal.
    pub(super) fn stop(&mut self, service: &str, by: Signal) {
        let child = self.running.remove(service).expect("it runs");
        signal(child.id(), by);
        ends_within(child, STOP);
    }

    /// Waits until `/readyz` of a service is as wanted, and answers with it.
    pub(super) async fn readiness(&self, service: &str, wanted: impl Fn(&str) -> bool) -> String {
        let looks = async || self.get(service, "/readyz").filter(|body| wanted(body));
        eventually("readiness to tell", SOON * 2, looks).await
    }

    /// What the admin listener answers.
    pub(super) fn get(&self, service: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(at(self.ports[service][1])).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        Some(reply)
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let output = self.command(arguments, more).output();
        output.expect("usher can be run")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// From now on the server, which trusts everybody else, asks `canary` for its password.
async fn demand_a_password(world: &World) {
    let role = "CREATE ROLE canary SUPERUSER LOGIN PASSWORD";
    world.execute(&format!("{role} '{}'", PASSWORDS[0].0)).await;
    let server = Postgres::shared().await.expect("it runs");
    server.ask_for_passwords_of("canary").await;
}
