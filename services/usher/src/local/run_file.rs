//! `run.json` in the data folder: where a running `usher up` listens. Written once everything has its port, read
//! by client commands (`target`), removed when the system stops.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};

use super::private;
use crate::target::Service;

/// Where everything is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Process id of `usher up`.
    pub(crate) pid: u32,
    /// Usher's version.
    pub(crate) version: String,
    /// accounts.
    pub(crate) accounts: Listening,
    /// verification.
    pub(crate) verification: Listening,
    /// mailer.
    pub(crate) mailer: Listening,
    /// The broker.
    pub(crate) nats_url: String,
    /// Where operators' token lies.
    pub(crate) admin_token_file: PathBuf,
    /// Where spans go, by OTLP/gRPC.
    pub(crate) otlp_endpoint: String,
    /// Where mails go: `file:…` or a mail server without its credentials.
    pub(crate) mail: String,
}

/// One service's listeners.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listening {
    /// gRPC.
    pub(crate) url: String,
    /// gRPC for operators, probes and metrics.
    pub(crate) admin_url: String,
}

impl RunFile {
    const NAME: &str = "run.json";

    /// What the system that runs on this folder wrote; `None` where none runs.
    pub(crate) fn of_running(data: &Path) -> Option<Self> {
        Self::read(data).filter(|run| is_alive(run.pid))
    }

    /// What the last system on this folder wrote, if it was killed before it could remove it.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.join(Self::NAME)).ok()?).ok()
    }

    /// Writes it, readable by its owner only.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        private::write(&data.join(Self::NAME), &crate::output::json(self))
    }

    /// Removes it: nothing listens any more.
    pub(crate) fn remove(data: &Path) {
        let _ = std::fs::remove_file(data.join(Self::NAME));
    }

    /// A service's listeners.
    pub(crate) fn service(&self, service: Service) -> &Listening {
        match service {
            Service::Accounts => &self.accounts,
            Service::Verification => &self.verification,
            Service::Mailer => &self.mailer,
        }
    }
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // Another user's process may not be signalled, but it lives.
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}
