//! A system of a run's own: `usher up` in a temporary folder, with the sink as its mail server.
//! `faults` finds its parts here.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use kit::testing::{processes, signal};
use rustix::process::Signal;
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::target::Target;

/// What the start may take, and the stop.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);

/// What faults befall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The service accounts
    Accounts,
    /// The service verification
    Verification,
    /// The service mailer
    Mailer,
    /// The broker
    NatsServer,
}

impl Part {
    /// As `usher up` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Verification => "verification",
            Self::Mailer => "mailer",
            Self::NatsServer => "nats-server",
        }
    }
}

/// A running `usher up`; stopped on drop.
#[derive(Debug)]
pub struct System {
    folder: Option<TempDir>,
    up: Child,
}

impl System {
    /// Starts one and waits until it is up. `usher` is the program, with what it needs before its
    /// own arguments.
    ///
    /// # Errors
    /// When it does not come up, with what it said.
    pub async fn start(usher: &Path, mail_url: &str) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("usher-load-")?;
        let said = File::create(folder.path().join("said"))?;
        let mut command = Command::new(usher);
        command
            .args(["up", "--ports", "auto", "--output", "json", "--data"])
            .arg(folder.path().join("data"))
            .env("USHER_MAIL_URL", mail_url)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        // A group of its own: Ctrl-C reaches this process, which then stops it in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = usher.display();
        let up = command
            .spawn()
            .with_context(|| format!("{program} cannot be run"))?;
        let mut system = Self {
            folder: Some(folder),
            up,
        };
        let deadline = Instant::now() + START;
        while !system.data().join("run.json").is_file() {
            let ended = system.up.try_wait()?;
            let said = || std::fs::read_to_string(system.folder().join("said")).unwrap_or_default();
            ensure!(ended.is_none(), "`{program} up` ended:\n{}", said());
            ensure!(
                Instant::now() < deadline,
                "`{program} up` does not come up:\n{}",
                said()
            );
            sleep(LOOK).await;
        }
        Ok(system)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn target(&self) -> anyhow::Result<Target> {
        Ok(Target::of_folder(&self.data())?.0)
    }

    /// Process id of a part, if it runs now.
    pub fn process(&self, part: Part) -> Option<u32> {
        let up = self.up.id();
        let ours = processes()
            .into_iter()
            .filter(|process| process.parent == up);
        let mut ours = ours.filter(|process| match part {
            Part::NatsServer => process.command.contains("nats.conf"),
            _ => process.command.ends_with(&format!(" {}", part.name())),
        });
        ours.next().map(|process| process.id)
    }

    /// Lets everything go on that was stopped by a signal.
    pub fn wake(&self) {
        let up = self.up.id();
        let ours = processes()
            .into_iter()
            .filter(|process| process.parent == up);
        for process in ours {
            signal(process.id, Signal::CONT);
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not end well and in time.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        // A part that stands still by SIGSTOP would not hear that it is to end.
        self.wake();
        signal(self.up.id(), Signal::TERM);
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.up.try_wait()? {
                ensure!(status.success(), "`usher up` ended with {status}");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "`usher up` did not end in {STOP:?}"
            );
            sleep(LOOK).await;
        }
    }

    /// Its folder, from now on nobody deletes it.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.take().map(TempDir::keep).unwrap_or_default()
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if matches!(self.up.try_wait(), Ok(Some(_))) {
            return;
        }
        self.wake();
        signal(self.up.id(), Signal::TERM);
        // It ends within ten seconds; the folder is deleted after that.
        let _ = self.up.wait();
    }
}
