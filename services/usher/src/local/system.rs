//! The whole system as children of this process: opens the data folder, starts everything in order, knows where
//! it listens, and ends it. `up` and `demo` are its two users.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    data::DataFolder,
    logs::{Log, Notice, Notices},
    nats::Nats,
    ports::{Choice, Ports},
    provisioner::Provisioner,
    run_file::{Listening, RunFile},
    supervise::{Ending, Program, State, Supervisor},
    traces::{Exports, Signals},
};
use crate::{
    exit::{Exit, Failure},
    http, migrate,
    signals::STOP_WITH_STDIN,
    target::Service,
    terminal::Progress,
};

/// A service answers within this time or the start has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Services that an earlier `up` left behind drain for ten seconds at most.
const DRAINED_WITHIN: Duration = Duration::from_secs(12);

/// Everything that runs on one data folder.
#[derive(Debug)]
pub(crate) struct System {
    data: DataFolder,
    supervisor: Supervisor,
    notices: Notices,
    provisioner: Option<Provisioner>,
}

impl System {
    /// Takes the folder; nothing runs yet. Notices about children arrive at the receiver.
    ///
    /// # Errors
    /// When another process has the folder.
    pub(crate) fn open(data: &Path) -> Result<(Self, mpsc::Receiver<Notice>), Failure> {
        let data = DataFolder::open(data)?;
        let (notices, receiver) = mpsc::channel(1024);
        Ok((Self { data, supervisor: Supervisor::default(), notices, provisioner: None }, receiver))
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &DataFolder {
        &self.data
    }

    /// Empties the folder: what an earlier run left in it is of no use.
    ///
    /// # Errors
    /// When a broker that it left running cannot be ended, or a file cannot be removed.
    pub(crate) async fn begin_anew(&self) -> anyhow::Result<()> {
        Nats::end_orphan(&self.data).await?;
        self.data.empty().context("The folder of the last run cannot be emptied.")
    }

    /// Runs another program beside the services, under `name`.
    pub(crate) fn keep(&mut self, program: Program) {
        let log = Log::new(program.name, &self.data.path("logs"), self.notices.clone());
        self.supervisor.keep(program, log);
    }

    /// How a part is now.
    pub(crate) fn state(&self, name: &str) -> State {
        self.supervisor.state(name)
    }

    /// Kills a part with SIGKILL; it is started again.
    pub(crate) fn kill(&self, name: &str) -> Option<u32> {
        self.supervisor.kill(name)
    }

    /// Starts the broker, brings the databases up to date, starts the services and waits until they answer.
    /// What they export goes where `exports` says.
    ///
    /// # Errors
    /// The first part that does not come up, with what to do. `stop` is still needed.
    pub(crate) async fn start(
        &mut self,
        ports: Choice,
        exports: Exports,
        progress: Progress,
    ) -> Result<RunFile, Failure> {
        let step = progress.step("databases");
        let orphan = Nats::end_orphan(&self.data).await?;
        self.migrate().await?;
        step.done("databases   ", "SQLite, one file a service");
        let ports = Ports::choose(ports)?;
        let run = self.run_file(&ports, &exports)?;
        self.start_nats(&ports, &run, orphan, progress).await?;
        for service in Service::ALL {
            self.keep(self.program(service, &ports, &run, exports.signals)?);
        }
        for service in Service::ALL {
            let step = progress.step(service.name());
            self.wait_until_ready(service, &run).await?;
            step.done(&format!("{:<12}", service.name()), &format!("gRPC on {}", ports.grpc(service)));
        }
        run.write(self.data.root())
            .map_err(|error| anyhow::anyhow!("run.json cannot be written: {error}"))?;
        Ok(run)
    }

    /// Ends everything: the services drain, then the broker stops. Ten seconds at most.
    pub(crate) async fn stop(&mut self) {
        self.provisioner = None;
        self.supervisor.stop().await;
        RunFile::remove(self.data.root());
    }

    /// Databases of services that an earlier `up` left behind are free once those have drained.
    async fn migrate(&self) -> Result<(), Failure> {
        let left_behind = RunFile::read(self.data.root()).is_some();
        let deadline = Instant::now() + if left_behind { DRAINED_WITHIN } else { Duration::ZERO };
        for service in Service::ALL {
            let url = self.database_url(service);
            while let Err(error) = migrate::apply(service, &url).await {
                if Instant::now() > deadline {
                    return Err(error);
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn start_nats(
        &mut self,
        ports: &Ports,
        run: &RunFile,
        orphan: Option<u32>,
        progress: Progress,
    ) -> Result<(), Failure> {
        let step = progress.step("nats-server");
        let log = Log::new("nats-server", &self.data.path("logs"), self.notices.clone());
        let nats = Nats::find()?;
        let configuration = Nats::configure(&self.data, ports.nats)?;
        self.keep(Program {
            name: "nats-server",
            binary: nats.binary,
            arguments: vec!["-c".into(), configuration.into()],
            environment: Vec::new(),
            ending: Ending::Terminated,
        });
        self.provisioner = Some(Provisioner::start(&run.nats_url, log).await?);
        let ended =
            orphan.map_or_else(String::new, |pid| format!("; ended process {pid}, left by an earlier run"));
        step.done("nats-server ", &format!("{} on 127.0.0.1:{}{ended}", nats.version, ports.nats));
        Ok(())
    }

    fn run_file(&self, ports: &Ports, exports: &Exports) -> anyhow::Result<RunFile> {
        let listening = |service| Listening {
            url: format!("http://{}", ports.grpc(service)),
            admin_url: format!("http://{}", ports.admin(service)),
        };
        Ok(RunFile {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            accounts: listening(Service::Accounts),
            verification: listening(Service::Verification),
            mailer: listening(Service::Mailer),
            nats_url: format!("nats://127.0.0.1:{}", ports.nats),
            admin_token_file: self.admin_token()?,
            otlp_endpoint: exports.endpoint.clone(),
            mail: self.mail(),
        })
    }

    /// The file with operators' token, made on the first start.
    fn admin_token(&self) -> anyhow::Result<PathBuf> {
        let path = self.data.path("admin-token");
        kit::serve::AdminToken::read_or_make(&path)?;
        Ok(path)
    }

    /// Where mails go, for people: a mail server's URL may hold a password.
    fn mail(&self) -> String {
        match std::env::var("USHER_MAIL_URL") {
            Err(_) => format!("file:{}", self.data.path("mails").display()),
            Ok(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
                _ => url,
            },
        }
    }

    fn database_url(&self, service: Service) -> String {
        migrate::local_url(self.data.root(), service)
    }

    /// A service as a child: the same binary, told everything by its environment. What the user has set beside
    /// that (`USHER_MAIL_URL`, `USHER_PUBLIC_URL`, …) holds.
    fn program(
        &self,
        service: Service,
        ports: &Ports,
        run: &RunFile,
        signals: Signals,
    ) -> Result<Program, Failure> {
        let set = |key, value: String| (key, OsString::from(value));
        let mut environment = vec![
            set(STOP_WITH_STDIN, "1".to_owned()),
            set("USHER_LISTEN", ports.grpc(service).to_string()),
            set("USHER_ADMIN_LISTEN", ports.admin(service).to_string()),
            set("USHER_ADMIN_TOKEN_FILE", run.admin_token_file.display().to_string()),
            set("USHER_DATABASE_URL", self.database_url(service)),
            set("USHER_NATS_URL", run.nats_url.clone()),
            set("OTEL_EXPORTER_OTLP_ENDPOINT", run.otlp_endpoint.clone()),
        ];
        if std::env::var_os("OTEL_BSP_SCHEDULE_DELAY").is_none() {
            // Milliseconds: a person who looks at a journey waits for the slowest process's spans.
            environment.push(set("OTEL_BSP_SCHEDULE_DELAY", "250".to_owned()));
        }
        if signals == Signals::Traces {
            environment.push(set("OTEL_METRICS_EXPORTER", "none".to_owned()));
            environment.push(set("OTEL_LOGS_EXPORTER", "none".to_owned()));
        }
        match service {
            Service::Accounts => {}
            Service::Verification => {
                environment.push(set("USHER_MAILER_URL", run.mailer.url.clone()));
                environment
                    .push(set("USHER_CODE_KEYS_FILE", self.data.path("code-keys").display().to_string()));
            }
            Service::Mailer => {
                environment.push(set(
                    "USHER_ADDRESS_KEY_FILE",
                    self.data.path("address-keys").display().to_string(),
                ));
                if std::env::var_os("USHER_MAIL_URL").is_none() {
                    environment.push(set("USHER_MAIL_URL", run.mail.clone()));
                }
            }
        }
        let binary = std::env::current_exe()
            .map_err(|error| anyhow::anyhow!("The executable of this process cannot be found: {error}"))?;
        let arguments = vec![service.name().into()];
        Ok(Program { name: service.name(), binary, arguments, environment, ending: Ending::ClosedInput })
    }

    async fn wait_until_ready(&self, service: Service, run: &RunFile) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if is_ready(&run.service(service).admin_url).await {
                return Ok(());
            }
            if Instant::now() > deadline || self.state(service.name()).starts > 3 {
                let log = self.data.path(&format!("logs/{}.log", service.name()));
                let message = format!("{} does not come up.{}", service.name(), last_words(&log));
                return Err(
                    Failure::new(Exit::Failed, message).hint(format!("All it said is in {}.", log.display()))
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Ready, and nothing that it needs is away: the first sign-up then meets a system that is warm.
async fn is_ready(admin_url: &str) -> bool {
    let Ok(reply) = http::get(admin_url, "/readyz").await else { return false };
    let report: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    reply.status == 200 && report["degraded"].as_object().is_none_or(serde_json::Map::is_empty)
}

/// The end of a log, indented, for an error message.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].iter().map(|line| format!("\n  {line}")).collect()
}
