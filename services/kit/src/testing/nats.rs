//! A real nats-server with JetStream, one for each test: it is up in some 30 ms.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::eventually;
use crate::bus::{self, Bus};

const START: Duration = Duration::from_secs(20);

/// A running nats-server; killed on drop, its store deleted.
#[derive(Debug)]
pub struct NatsServer {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server on a free port with an empty store.
    ///
    /// # Panics
    /// When there is no nats-server, or it does not come up.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut server = Self {
            directory,
            port: 0,
            process: None,
        };
        server.run().await;
        server
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

    /// Makes the streams, once the server is there, and returns the connection that did so.
    ///
    /// # Panics
    /// When the server does not take them.
    pub async fn provision(&self) -> Bus {
        let bus = Bus::connect(&self.url(), "test").await;
        let bus = bus.expect("a connection need not be up yet");
        let made = async || bus::provision(&bus, None).await.ok();
        eventually("the streams", START, made).await;
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
        // The server chooses: a port that was free when we looked may be another test's by now.
        // When it is started again it keeps its port, which its clients know.
        let port = if self.port == 0 {
            "-1".to_owned()
        } else {
            self.port.to_string()
        };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: {0:?}\njetstream {{ store_dir: {0:?} }}\n",
            directory.display().to_string()
        );
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
        self.port = eventually("nats-server to listen", START, async || {
            self.listening(&ports)
        })
        .await;
    }

    /// The port that the server wrote down when it was ready.
    fn listening(&mut self, ports: &Path) -> Option<u16> {
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
        ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
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
