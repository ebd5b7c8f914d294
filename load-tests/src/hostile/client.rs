//! One hostile client: every kind of attack at once on one listener, in a process of its own, which
//! is told by JSON on its standard input what to attack, and tells by JSON what it did.

use std::{
    io::{self, Write as _},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rustix::{
    process::{Resource, Rlimit, getrlimit, nice, setrlimit},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    time::timeout,
};

use super::{
    attack::Attack,
    front::{Front, Pace},
    listener::Listener,
    tally::Deeds,
};

/// As `cli` calls it.
const COMMAND: &str = "attack";

/// What one client is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(super) listener: Listener,
    pub(super) attacks: Vec<Attack>,
    /// How many times as fast as usual.
    pub(super) times: f64,
    pub(super) lasting: Duration,
}

/// What it did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) deeds: Vec<(Attack, Deeds)>,
    /// What it took of a processor.
    pub(super) cpu: Duration,
}

impl Client {
    /// In a process of its own: within this one it would hold locks that those need who are
    /// measured.
    pub(super) async fn start(&self) -> anyhow::Result<Child> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().context("it has no standard input")?;
        input.write_all(&serde_json::to_vec(self)?).await?;
        Ok(child)
    }

    /// What it did, once it is over.
    pub(super) async fn done(child: Child) -> anyhow::Result<Done> {
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "A hostile client failed.");
        serde_json::from_slice(&output.stdout).context("A hostile client told nothing.")
    }

    /// Does what standard input says, and tells on standard output.
    ///
    /// # Errors
    /// When that is no such thing, or not of this machine.
    pub(crate) fn run() -> anyhow::Result<()> {
        let client: Self = serde_json::from_reader(io::stdin())?;
        let addr = client.listener.addr;
        ensure!(addr.ip().is_loopback(), "{addr} is not of this machine.");
        // A stranger has a machine of its own. Here it is to take nothing from those whom it
        // attacks but what they spend on it: it runs when nobody else wants to.
        let _ = nice(19);
        raise_descriptors();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let done = runtime.block_on(client.attack());
        io::stdout().write_all(&serde_json::to_vec(&done)?)?;
        // Thousands of connections: the process ends faster than they do.
        runtime.shutdown_background();
        Ok(())
    }

    async fn attack(self) -> Done {
        let listener = Arc::new(self.listener);
        let front = |attack: Attack| {
            let usual = attack.pace();
            let pace = Pace {
                a_second: usual.a_second * self.times,
                ..usual
            };
            (attack, Front::new(Arc::clone(&listener), pace))
        };
        let fronts: Vec<_> = self.attacks.into_iter().map(front).collect();
        let all = fronts.iter().map(|(attack, front)| attack.run(front));
        // They never end by themselves.
        let _ = timeout(self.lasting, futures::future::join_all(all)).await;
        let deeds = fronts
            .iter()
            .map(|(attack, front)| (*attack, front.tally.deeds()));
        Done {
            deeds: deeds.collect(),
            cpu: Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default(),
        }
    }
}

/// As many connections as the system lets one process have.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Else there are fewer, and the report says how many there were.
    let _ = setrlimit(Resource::Nofile, raised);
}
