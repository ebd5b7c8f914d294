//! A service as a process of its own, for what only a whole process shows: sudden death, signals,
//! and its log.

use std::{
    marker::PhantomData,
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::Channel;

use super::{Environment, SOON, channel, eventually, free_port};

/// What a stop may take.
const STOP: Duration = Duration::from_secs(10);

/// A running process whose callers are `C`; killed on drop.
#[derive(Debug)]
pub struct Process<C> {
    child: Child,
    addr: SocketAddr,
    /// Its output and its log.
    said: JoinHandle<String>,
    client: PhantomData<fn() -> C>,
}

impl<C: From<Channel>> Process<C> {
    /// Starts it under these settings and nothing else, and waits until it listens.
    pub async fn start(mut command: Command, settings: &Environment) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        set_up(&mut command, settings).env("USHER_LISTEN", addr.to_string());
        let mut child = command.spawn().expect("the program can be run");
        let mut stdout = child.stdout.take().expect("its output is piped");
        let mut stderr = child.stderr.take().expect("its log is piped");
        // Both are read all the time: a full pipe would stop the process.
        let said = tokio::spawn(async move {
            let (mut said, mut logged) = (Vec::new(), Vec::new());
            let _ = tokio::join!(
                stdout.read_to_end(&mut said),
                stderr.read_to_end(&mut logged)
            );
            said.append(&mut logged);
            String::from_utf8_lossy(&said).into_owned()
        });
        let listens = async || {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            TcpStream::connect(addr).await.ok()
        };
        eventually("the process to listen", SOON, listens).await;
        Self {
            child,
            addr,
            said,
            client: PhantomData,
        }
    }

    /// Starts one that is to end by itself, and returns whether it did so well, and its log.
    pub async fn run(mut command: Command, settings: &Environment) -> (bool, String) {
        let output = set_up(&mut command, settings).output().await;
        let output = output.expect("the program can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }

    /// A caller with a connection of its own.
    pub fn client(&self) -> C {
        channel(self.addr).into()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As the operating system numbers it, for `signal`.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// SIGKILL: a crash.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Waits until it gets SIGKILL from somebody else, or from itself.
    ///
    /// # Panics
    /// When it goes on, or ends in another way; with `what` was waited for.
    pub async fn is_killed(mut self, what: &str) {
        let ended = timeout(SOON, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("waited {SOON:?} in vain for {what}"));
        let status = ended.expect("a child can be waited for");
        assert_eq!(status.signal(), Some(9), "{what}: {status}");
    }

    /// SIGTERM; waits for its end and returns its output and its log.
    pub async fn terminate(mut self) -> String {
        let asked = Instant::now();
        super::terminate(self.id());
        let status = self.child.wait().await.expect("a child can be waited for");
        let took = asked.elapsed();
        assert!(status.success() && took < STOP, "{status} after {took:?}");
        self.said.await.expect("its log is read to the end")
    }
}

fn set_up<'a>(command: &'a mut Command, settings: &Environment) -> &'a mut Command {
    command
        // A variable of whoever runs the tests must not be a setting of what they test.
        .env_clear()
        .envs(settings.pairs())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
}
