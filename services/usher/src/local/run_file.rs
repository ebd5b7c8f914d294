//! `run.json` in the data folder: where a running `usher up` listens. Written once everything has
//! its port, read by client commands (`target`), removed when the system stops.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};

use super::data;
use crate::service::PerService;

/// Where everything is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Of `usher up`.
    pub(crate) pid: u32,
    /// Usher's.
    pub(crate) version: String,
    #[serde(flatten)]
    pub(crate) services: PerService<Listening>,
    pub(crate) nats_url: String,
    pub(crate) admin_token_file: PathBuf,
    /// Where spans go, by OTLP/gRPC.
    pub(crate) otlp_endpoint: String,
    /// Where mails go: `file:…` or a mail server without its credentials.
    pub(crate) mail: String,
}

/// One service's listeners.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) url: String,
    /// gRPC for operators, probes and metrics.
    pub(crate) admin_url: String,
}

impl RunFile {
    const NAME: &str = "run.json";

    /// What the system that runs on this folder wrote; `None` where none runs.
    pub(crate) fn of_running(folder: &Path) -> Option<Self> {
        // A killed `usher up` leaves its file behind: commands would talk to ports that are
        // somebody else's by now.
        Self::read(folder).filter(|run| is_alive(run.pid))
    }

    /// What the last system on this folder wrote, if it was killed before it could remove it.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(Self::NAME)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Readable by its owner only.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        data::write_private(&folder.join(Self::NAME), &crate::output::json(self))
    }

    /// Nothing listens any more.
    pub(crate) fn remove(folder: &Path) {
        let _ = std::fs::remove_file(folder.join(Self::NAME));
    }
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // Another user's process may not be signalled, but it lives.
    matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM))
}
