//! `run.json` in the data folder: where a running `usher up` listens. Written once everything has
//! its port, read by client commands (`target`), removed when the system stops.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kit::{
    bus::{BrokerSettings, NatsUrl},
    files::{FileRefused, PrivateFolder},
};
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};

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
    /// The file with the key that it takes.
    pub(crate) nats_credentials: PathBuf,
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
    ///
    /// # Errors
    /// When there is one that somebody else could have written: it says where secrets are sent to.
    pub(crate) fn of_running(folder: &Path) -> Result<Option<Self>, FileRefused> {
        let found = fs::symlink_metadata(folder.join(Self::NAME));
        let is_missing = |error: io::Error| {
            use io::ErrorKind::{NotADirectory, NotFound};
            matches!(error.kind(), NotFound | NotADirectory)
        };
        // A folder without one may be anybody's: it is not asked.
        if found.is_err_and(is_missing) {
            return Ok(None);
        }
        let run = Self::read(&PrivateFolder::open(folder)?)?;
        // A killed `usher up` leaves its file behind: commands would talk to ports that are
        // somebody else's by now.
        Ok(run.filter(|run| is_alive(run.pid)))
    }

    /// What the last system on this folder wrote, if it was killed before it could remove it.
    pub(crate) fn read(folder: &PrivateFolder) -> Result<Option<Self>, FileRefused> {
        let text = folder.read(Self::NAME)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Its broker, and who we are there.
    pub(crate) fn broker(&self) -> BrokerSettings {
        let url = self.nats_url.parse();
        let broker = url.map_or_else(|_| BrokerSettings::default(), NatsUrl::into);
        BrokerSettings {
            nats_credentials: Some(self.nats_credentials.clone()),
            ..broker
        }
    }

    /// Readable by its owner only.
    pub(crate) fn write(&self, folder: &PrivateFolder) -> Result<(), FileRefused> {
        let text = crate::output::json(self) + "\n";
        folder.replace(Self::NAME, text.as_bytes())
    }

    /// Nothing listens any more.
    pub(crate) fn remove(folder: &PrivateFolder) {
        let _ = folder.remove(Self::NAME);
    }
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // Another user's process may not be signalled, but it lives.
    matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM))
}
