//! The whole system as children of this process: opens the data folder, starts everything in order, knows where
//! it listens, and ends it. `up` and `demo` are its two users.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    child,
    data::DataFolder,
    logs::{Log, Notice, Notices},
    nats::Nats,
    ports::{Choice, Ports},
    provisioner::Provisioner,
    readiness::{self, Readiness},
    run_file::{Listening, RunFile},
    supervise::{Ending, Program, State, Supervisor},
    traces::Exports,
};
use crate::{
    exit::{Exit, Failure},
    migrate,
    target::Service,
    terminal::Progress,
};

/// A service answers within this time or the start has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// What a service needs besides its database connects within this time, or is away for longer.
const WARM_WITHIN: Duration = Duration::from_secs(3);
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
        Ok((
            Self {
                data,
                supervisor: Supervisor::default(),
                notices,
                provisioner: None,
            },
            receiver,
        ))
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
        self.data
            .empty()
            .context("The folder of the last run cannot be emptied.")
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
            self.keep(child::program(
                service,
                &self.data,
                &ports,
                &run,
                exports.signals,
            )?);
        }
        for service in Service::ALL {
            let step = progress.step(service.name());
            self.wait_until_ready(service, &run).await?;
            step.done(
                &format!("{:<12}", service.name()),
                &format!("gRPC on {}", ports.grpc(service)),
            );
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
        let deadline = Instant::now()
            + if left_behind {
                DRAINED_WITHIN
            } else {
                Duration::ZERO
            };
        for service in Service::ALL {
            let url = migrate::local_url(self.data.root(), service);
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
            pid_file: None, // its configuration has it write one
        });
        self.provisioner = Some(Provisioner::start(&run.nats_url, log).await?);
        let ended = orphan.map_or_else(String::new, |pid| {
            format!("; ended process {pid}, left by an earlier run")
        });
        step.done(
            "nats-server ",
            &format!("{} on 127.0.0.1:{}{ended}", nats.version, ports.nats),
        );
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

    /// Waits until a service is ready, and for a moment until it is warm.
    ///
    /// # Errors
    /// When it does not come up, with its last words.
    pub(crate) async fn wait_until_ready(
        &self,
        service: Service,
        run: &RunFile,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        let warm_until = Instant::now() + WARM_WITHIN;
        loop {
            match readiness::ask(&run.service(service).admin_url).await {
                Readiness::Warm => return Ok(()),
                // A mail server that is away must not keep the system from starting.
                Readiness::Degraded if Instant::now() > warm_until => return Ok(()),
                Readiness::Degraded | Readiness::Not => {}
            }
            if Instant::now() > deadline || self.state(service.name()).starts > 3 {
                let log = self.data.path(&format!("logs/{}.log", service.name()));
                let message = format!("{} does not come up.{}", service.name(), last_words(&log));
                let hint = format!("All it said is in {}.", log.display());
                return Err(Failure::new(Exit::Failed, message).hint(hint));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The end of a log, indented, for an error message.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..]
        .iter()
        .map(|line| format!("\n  {line}"))
        .collect()
}
