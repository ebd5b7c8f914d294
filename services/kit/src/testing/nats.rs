//! A real nats-server with JetStream, one for each test: it is up in some 30 ms.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{SOON, SmallDisk, eventually, free_port};
use crate::bus::{self, BrokerSettings, Bus, NatsUrl};

/// A running nats-server; killed on drop, its store deleted.
#[derive(Debug)]
pub struct NatsServer {
    directory: TempDir,
    /// Its store, if that is not in the directory.
    store: Option<PathBuf>,
    /// What stands in its configuration besides.
    more: String,
    port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server on a free port with an empty store.
    ///
    /// # Panics
    /// When there is no nats-server, or it does not come up.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same with more in its configuration, such as whom it lets in; `jetstream: false` leaves
    /// JetStream out.
    pub async fn start_with(more: &str) -> Self {
        let mut server = Self::new(None, more);
        server.run().await;
        server
    }

    /// The same with its store on a disk of its own, which may be full one day.
    pub async fn start_on(disk: &SmallDisk) -> Self {
        let mut server = Self::new(Some(disk.folder().to_owned()), "");
        server.run().await;
        server
    }

    fn new(store: Option<PathBuf>, more: &str) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            store,
            more: more.to_owned(),
            port: 0,
            process: None,
        }
    }

    /// From its next start on it has this in its configuration instead.
    pub fn configure(&mut self, more: &str) {
        more.clone_into(&mut self.more);
    }

    /// The executable: `USHER_NATS_SERVER`, else what `make tools` put into the workspace, else the
    /// one on PATH.
    ///
    /// # Panics
    /// When there is none.
    pub fn program() -> PathBuf {
        let chosen = env::var_os("USHER_NATS_SERVER").map(PathBuf::from);
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|up| up.join(".tools/bin"));
        let path = env::var_os("PATH").unwrap_or_default();
        let installed = workspace
            .chain(env::split_paths(&path))
            .map(|folder| folder.join("nats-server"));
        chosen
            .or_else(|| installed.into_iter().find(|program| program.is_file()))
            .expect("there is no nats-server: run `make tools`, which puts one into .tools/bin")
    }

    /// What goes into `USHER_NATS_URL`; the same for the server's whole life.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The settings with which to connect to it.
    pub fn settings(&self) -> BrokerSettings {
        let url: NatsUrl = self.url().parse().expect("a server's URL is one");
        url.into()
    }

    /// Makes the streams, once the server is there, and returns the connection that did so.
    ///
    /// # Panics
    /// When the server does not take them.
    pub async fn provision(&self) -> Bus {
        let bus = Bus::connect(&self.settings(), "test").await;
        let bus = bus.expect("a connection need not be up yet");
        let made = async || bus::provision(&bus, None).await.ok();
        eventually("the streams", SOON, made).await;
        bus
    }

    /// Stops the server as an operator would; what it stored stays.
    pub fn stop(&mut self) {
        if let Some(process) = &self.process {
            super::terminate(process.id());
        }
        self.reap();
    }

    /// Kills the server without a chance to write anything more.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
        }
        self.reap();
    }

    /// Starts it again on its port and store, after killing it if it still runs.
    pub async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Starts it again on its port with an empty store: a broker that lost everything.
    pub async fn wipe_and_restart(&mut self) {
        self.kill();
        let store = self.directory.path().join("jetstream");
        fs::remove_dir_all(store).expect("the store can be deleted");
        self.run().await;
    }

    async fn run(&mut self) {
        let directory = self.directory.path();
        let config = directory.join("nats.conf");
        // When it is started again it keeps its port, which its clients know: nobody is given it
        // meanwhile.
        if self.port == 0 {
            self.port = free_port();
        }
        let port = self.port;
        let mut text = format!("listen: \"127.0.0.1:{port}\"\nports_file_dir: {directory:?}\n");
        if !self.more.contains("jetstream: false") {
            let store = self.store.as_deref().unwrap_or(directory);
            // More than a small disk has: it is to meet the disk's end and not its own limit.
            text += &format!("jetstream {{ store_dir: {store:?}, max_file_store: 4GB }}\n");
        }
        text += &self.more;
        fs::write(&config, text).expect("the temporary directory can be written");
        let log = fs::File::create(directory.join("log"))
            .expect("the temporary directory can be written");
        let process = Command::new(Self::program())
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server can be run");
        let ports = directory.join(format!("nats-server_{}.ports", process.id()));
        self.process = Some(process);
        eventually("nats-server to listen", SOON, async || {
            self.listening(&ports)
        })
        .await;
    }

    /// Whether the server wrote its port down, as it does when it is ready.
    fn listening(&mut self, ports: &Path) -> Option<()> {
        let ended = self
            .process
            .as_mut()
            .and_then(|process| process.try_wait().ok().flatten());
        if let Some(status) = ended {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            panic!("nats-server ended with {status}:\n{log}");
        }
        // It writes in place, so that half a file is no answer yet.
        let ports: serde_json::Value = serde_json::from_slice(&fs::read(ports).ok()?).ok()?;
        ports["nats"][0].as_str().map(|_| ())
    }

    fn reap(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.wait();
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
