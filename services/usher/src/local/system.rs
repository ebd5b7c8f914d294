//! The whole system as children of this process: opens the data folder, starts everything in order,
//! knows where it listens, and ends it. `up` and `demo` are its two users.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use kit::serve::Told;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    child,
    data::DataFolder,
    exports::Exports,
    logs::{Log, Notice, Notices},
    nats::Nats,
    ports::{PortChoice, Ports},
    provisioner::Provisioner,
    run_file::{Listening, RunFile},
    supervise::{ChildState, Ending, Program, Supervisor},
    told::ToldServices,
};
use crate::{
    exit::{Exit, Failure},
    migrate, probe,
    service::{PerService, Service},
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
    told: ToldServices,
}

impl System {
    /// Takes the folder; nothing runs yet. Notices about children arrive at the receiver.
    pub(crate) fn open(
        data: &Path,
        told: ToldServices,
    ) -> Result<(Self, mpsc::Receiver<Notice>), Failure> {
        let data = DataFolder::open(data)?;
        let (notices, receiver) = mpsc::channel(1024);
        let system = Self {
            data,
            supervisor: Supervisor::default(),
            notices,
            provisioner: None,
            told,
        };
        Ok((system, receiver))
    }

    pub(crate) fn data(&self) -> &DataFolder {
        &self.data
    }

    /// Empties the folder: what an earlier run left in it is of no use.
    pub(crate) async fn begin_anew(&self) -> anyhow::Result<()> {
        // First the broker: it would write into the folder while that is emptied.
        Nats::end_orphan(&self.data).await?;
        let emptied = self.data.empty();
        emptied.context("The folder of the last run cannot be emptied.")
    }

    /// Runs another program beside the services, under `name`.
    pub(crate) fn keep(&mut self, program: Program) {
        let log = self.log(program.name);
        self.supervisor.keep(program, log);
    }

    fn log(&self, part: &'static str) -> Log {
        Log::new(part, self.data.logs(), self.notices.clone())
    }

    pub(crate) fn state(&self, part: &str) -> ChildState {
        self.supervisor.state(part)
    }

    /// Kills a part with SIGKILL; it is started again.
    pub(crate) fn kill(&self, part: &str) -> Option<u32> {
        self.supervisor.kill(part)
    }

    /// Starts the broker, brings the databases up to date, starts the services and waits until they
    /// answer. What they export goes where `exports` says.
    pub(crate) async fn start(
        &mut self,
        ports: PortChoice,
        exports: Exports,
        progress: Progress,
    ) -> Result<RunFile, Failure> {
        let step = progress.step("databases");
        // The broker of an earlier run holds its port and its store.
        let orphan = Nats::end_orphan(&self.data).await?;
        self.migrate().await?;
        step.done("databases   ", "SQLite, one file a service");

        // Not before now: services that an earlier run left behind held their ports until they had
        // drained.
        let ports = Ports::choose(ports)?;
        let run = self.run_file(&ports, &exports)?;
        self.start_nats(&ports, &run, orphan, progress).await?;

        // All are started before the first one is waited for: they come up together.
        for service in Service::ALL {
            let told = &self.told.services[service];
            let mut program =
                child::program(service, told, &self.data, &ports, &run, exports.signals)?;
            if let (Service::Accounts, Some(kind)) = (service, self.told.dispatcher()) {
                let dispatcher = ("USHER_DISPATCHER".to_owned(), kind.into());
                program.environment.push(dispatcher); // the last one holds
            }
            self.keep(program);
        }
        for service in Service::ALL {
            let step = progress.step(service.name());
            self.wait_until_ready(service, &run).await?;
            let what = format!("{:<12}", service.name());
            step.done(&what, &format!("gRPC on {}", ports.grpc(service)));
        }

        // Last: whoever reads the file may use what it names at once.
        run.write(self.data.folder())?;
        Ok(run)
    }

    /// Ends everything: the services drain, then the broker stops. Ten seconds at most.
    pub(crate) async fn stop(&mut self) {
        // It would report the broker that is about to end.
        self.provisioner = None;
        self.supervisor.stop().await;
        // Last: as long as something still drains, commands find it.
        RunFile::remove(self.data.folder());
    }

    async fn migrate(&self) -> Result<(), Failure> {
        // Databases of services that an earlier `up` left behind are free once those have drained.
        let mut deadline = Instant::now();
        if RunFile::read(self.data.folder())?.is_some() {
            deadline += DRAINED_WITHIN;
        }
        for service in Service::ALL {
            let url = migrate::local(self.data.root(), service)?;
            while let Err(error) = migrate::apply(service, &url).await {
                // What is refused will not be any better.
                if Instant::now() > deadline || error.exit == Exit::Refused {
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
        let nats = Nats::find()?;
        let configuration = Nats::configure(&self.data, ports.nats)?;
        self.keep(Program {
            name: "nats-server",
            binary: nats.binary,
            arguments: vec!["-c".into(), configuration.into()],
            environment: Vec::new(),
            ending: Ending::Terminated,
            // Its configuration has it write one.
            pid_file: None,
        });
        if let Some(process) = self.supervisor.process("nats-server") {
            let log = self.log("nats-server");
            self.provisioner = Some(Provisioner::start(run, process, log).await?);
        }
        let mut detail = format!("{} on 127.0.0.1:{}", nats.version, ports.nats);
        if let Some(pid) = orphan {
            detail.push_str(&format!("; ended process {pid}, left by an earlier run"));
        }
        step.done("nats-server ", &detail);
        Ok(())
    }

    fn run_file(&self, ports: &Ports, exports: &Exports) -> anyhow::Result<RunFile> {
        let services = PerService::of(|service| Listening {
            url: format!("http://{}", ports.grpc(service)),
            admin_url: format!("http://{}", ports.admin(service)),
        });
        Ok(RunFile {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            services,
            nats_url: format!("nats://127.0.0.1:{}", ports.nats),
            nats_credentials: Nats::key_file(&self.data),
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

    /// Where mails go, for people.
    fn mail(&self) -> String {
        match self.told.mail_url() {
            None => format!("file:{}", self.data.path("mails").display()),
            // A mail server's URL may hold a password, and `run.json` is printed.
            Some(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
                _ => url,
            },
        }
    }

    /// Waits until a service is ready, and for a moment until it is warm.
    pub(crate) async fn wait_until_ready(
        &self,
        service: Service,
        run: &RunFile,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        let warm_until = Instant::now() + WARM_WITHIN;
        let admin_url = &run.services[service].admin_url;
        let mut not_ready = None;
        loop {
            if let Ok(readiness) = probe::readiness(admin_url).await {
                // The first sign-up should meet a system that is warm, but a mail server that is
                // away must not keep it from starting.
                let is_warm = readiness.degraded.is_empty();
                if readiness.is_ready && (is_warm || Instant::now() > warm_until) {
                    return Ok(());
                }
                not_ready = readiness.not_ready;
            }
            // Whichever it is: what one refuses keeps all from coming up.
            for each in Service::ALL {
                let state = self.state(each.name());
                if state.refused {
                    let (name, words) = (each.name(), &state.endings.words);
                    let message = format!("{name} refuses its settings: {words}");
                    return Err(Failure::new(Exit::Usage, message)
                        .hint("Correct it and run `usher up` again; nothing is left running."));
                }
            }
            // Whoever dies three times will not come up by being waited for.
            let state = self.state(service.name());
            if Instant::now() > deadline || state.starts > 3 {
                return Err(self.does_not_come_up(service, &state, not_ready));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn does_not_come_up(
        &self,
        service: Service,
        state: &ChildState,
        not_ready: Option<Told>,
    ) -> Failure {
        let name = service.name();
        let log = self.data.path(&format!("logs/{name}.log"));
        let why = match (state.endings.times, not_ready) {
            (0, Some(told)) => format!("{}. {}", told.reason, told.advice),
            (0, None) => format!("it did not answer within {} s.", READY_WITHIN.as_secs()),
            _ => format!("it {}", state.endings.told()),
        };
        let what = format!("{name} does not come up: {why}");
        let hint = format!("All it said is in {}.", log.display());
        Failure::new(Exit::Failed, what).hint(hint)
    }
}
