//! The ground of a system: folders and small disks, the broker, the databases, and a proxy in each
//! connection.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, ensure};
use kit::testing::{NatsServer, PostgresFiles, Proxy, SmallDisk, create_database, free_port};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Instant, sleep, timeout},
};

use super::super::{
    LOOK, Parts, START,
    unit::{Program, Unit},
};
use crate::{
    dispatcher::Dispatcher,
    place::{Ground, Place, Spot},
    terminal::tell,
};

/// A Postgres that crashes must find what it answered for: what it leaves to the operating system
/// survives it, what it keeps in memory does not.
const POSTGRES: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=on",
    "max_connections=100",
    "shared_buffers=32MB",
    "max_wal_size=64MB",
];

/// What decides about such a system.
#[derive(Debug)]
pub(crate) struct Apart<'a> {
    pub(crate) usher: &'a Path,
    pub(crate) ground: Ground,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) seed: u64,
    /// What a disk holds.
    pub(crate) megabytes: u64,
    pub(crate) mail_url: &'a str,
}

/// A service, and how it reaches what it needs.
pub(super) struct Needs {
    pub(super) place: Place,
    pub(super) disk: Place,
    pub(super) to_postgres: Place,
    pub(super) to_nats: Option<Place>,
}

/// A system while it is built.
pub(super) struct Yard<'a> {
    pub(super) apart: &'a Apart<'a>,
    pub(super) folder: TempDir,
    pub(super) parts: Parts,
    pub(super) nats_url: String,
    /// Where Postgres listens, if there is one.
    pub(super) postgres: Option<u16>,
}

impl Yard<'_> {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder of its own for a store: a small disk where one can be had.
    fn store(&mut self, disk: Place) -> anyhow::Result<PathBuf> {
        if let Some(mounted) = SmallDisk::of(self.apart.megabytes) {
            let folder = mounted.folder().to_owned();
            self.parts.disks.insert(disk, mounted);
            return Ok(folder);
        }
        let name = disk.name();
        tell(&format!(
            "skipped: no fault of {name}, because only root can mount a disk"
        ));
        let folder = self.file(name);
        // For its owner only, as a service wants the folder of its database.
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(folder)
    }

    pub(super) async fn proxy(&mut self, spot: Spot, target: String) -> String {
        let links = self.parts.links.entry(spot).or_default();
        let seed = self.apart.seed ^ (spot.place as u64) << 32 ^ (links.len() as u64) << 16;
        let proxy = Proxy::before(&target, seed ^ spot.replica as u64).await;
        let url = proxy.url(&target);
        links.push(proxy);
        url
    }

    pub(super) fn keep(
        &mut self,
        spot: Spot,
        line: Vec<OsString>,
        environment: Vec<(String, String)>,
    ) {
        let name = spot.to_string().replace(' ', "-");
        let program = Program {
            line,
            environment,
            log: self.file(&format!("{name}.log")),
            asked_by: match spot.place {
                // Otherwise it waits for its clients to leave.
                Place::Postgres => Signal::INT,
                _ => Signal::TERM,
            },
            is_one_with_its_children: true,
        };
        self.parts.units.insert(spot, Unit::start(program));
    }

    pub(super) async fn start_nats(&mut self) -> anyhow::Result<()> {
        let port = free_port();
        let store = self.store(Place::NatsDisk)?;
        let config = self.file("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, max_file_store: 4GB }}\n",
            store.display().to_string()
        );
        fs::write(&config, text)?;
        let line = [NatsServer::program().into(), "-c".into(), config.into()];
        self.keep(
            Place::NatsServer.into(),
            ends_with_this(line.into()),
            path(),
        );
        self.nats_url = format!("nats://127.0.0.1:{port}");
        let url = self.nats_url.clone();
        self.usher(&["nats", "provision", "--nats-url", &url]).await
    }

    pub(super) async fn start_postgres(&mut self) -> anyhow::Result<()> {
        let port = free_port();
        let store = self.store(Place::PostgresDisk)?;
        let files =
            PostgresFiles::make(&store).map_err(|reason| anyhow!("PostgreSQL: {reason}"))?;
        let mut line: Vec<OsString> = files.runner().iter().map(OsString::from).collect();
        line.extend(ends_with_this(files.server(port, &POSTGRES)));
        self.keep(Place::Postgres.into(), line, path());
        self.postgres = Some(port);
        Ok(())
    }

    /// What goes into `USHER_DATABASE_URL` of each replica.
    pub(super) async fn databases(&mut self, needs: &Needs) -> anyhow::Result<Vec<String>> {
        let name = needs.place.name();
        let Some(port) = self.postgres else {
            let file = self.store(needs.disk)?.join(format!("{name}.sqlite"));
            return Ok(vec![format!("sqlite:{}", file.display())]);
        };
        let deadline = Instant::now() + START;
        let url = loop {
            match create_database(port, name).await {
                Ok(url) => break url,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => sleep(LOOK).await,
            }
        };
        self.usher(&["migrate", "--service", name, "--database-url", &url])
            .await?;
        let mut urls = Vec::new();
        for replica in 0..self.apart.ground.replicas() {
            let place = needs.to_postgres;
            urls.push(self.proxy(Spot { place, replica }, url.clone()).await);
        }
        Ok(urls)
    }

    /// Runs a command of `usher` until it succeeds: what it needs is only just starting.
    async fn usher(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let mut command = Command::new(self.apart.usher);
            let output = command.args(arguments).current_dir("/").output().await?;
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let command = arguments.join(" ");
            ensure!(Instant::now() < deadline, "`usher {command}`: {said}");
            sleep(LOOK).await;
        }
    }

    pub(super) async fn until_all_listen(
        &self,
        ports: impl IntoIterator<Item = u16>,
    ) -> anyhow::Result<()> {
        for port in ports {
            let listens = async {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    sleep(LOOK).await;
                }
            };
            let (began, folder) = (timeout(START, listens).await, self.folder.path());
            began.with_context(|| {
                let folder = folder.display();
                format!("nobody listens on port {port}; see the logs in {folder}")
            })?;
        }
        Ok(())
    }
}

pub(super) fn path() -> Vec<(String, String)> {
    let kept = ["PATH", "RUST_LOG", "TMPDIR"];
    let kept = kept.into_iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some((name.to_owned(), value))
    });
    kept.collect()
}

/// A program that does not look at its standard input, so that it ends with this process all the
/// same, where the operating system can see to that.
fn ends_with_this(line: Vec<OsString>) -> Vec<OsString> {
    if !cfg!(target_os = "linux") {
        return line;
    }
    let mut whole = ["setpriv", "--pdeathsig", "KILL", "--"]
        .map(OsString::from)
        .to_vec();
    whole.extend(line);
    whole
}
