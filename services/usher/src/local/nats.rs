//! The local broker: finds a nats-server that is new enough and writes its configuration.
//! `supervise` runs it, `orphan` ends one that a dead `usher up` left behind.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use kit::{bus::BrokerUser, files::FileRefused};

use super::{data::DataFolder, orphan};
use crate::exit::{Exit, Failure};

/// Oldest server that works: streams and consumers are described by 2.12's API.
const OLDEST: (u32, u32) = (2, 12);

/// A server that can be started on a folder.
#[derive(Debug)]
pub(crate) struct Nats {
    pub(crate) binary: PathBuf,
    /// What it calls itself, such as `2.15.1`.
    pub(crate) version: String,
}

impl Nats {
    /// The server that `USHER_NATS_SERVER` names, the one on PATH, or the one that `make tools`
    /// installed.
    pub(crate) fn find() -> Result<Self, Failure> {
        let mut seen = Vec::new();
        for binary in candidates() {
            match version(&binary) {
                Some((version, number)) if number >= OLDEST => return Ok(Self { binary, version }),
                Some((version, _)) => seen.push(format!("{} is {version}", binary.display())),
                None if binary.is_file() => seen.push(format!("{} is none", binary.display())),
                None => seen.push(format!("{} cannot be run", binary.display())),
            }
        }
        let found = match seen.is_empty() {
            true => "none was found".to_owned(),
            false => seen.join(", "),
        };
        let (major, minor) = OLDEST;
        let what = format!("nats-server {major}.{minor} or newer is needed; {found}.");
        Err(Failure::new(Exit::Failed, what).hint(
            "`make tools` installs one into .tools/bin; or put it on PATH, or name it in USHER_NATS_SERVER.",
        ))
    }

    /// The file with the key of its one user.
    pub(crate) fn key_file(data: &DataFolder) -> PathBuf {
        data.path("nats-key")
    }

    /// Writes the configuration for `port` and answers with its path.
    pub(crate) fn configure(data: &DataFolder, port: u16) -> Result<PathBuf, FileRefused> {
        const NAME: &str = "nats.conf";
        let store = data.folder().folder("nats")?;
        let user = BrokerUser::read_or_make(&Self::key_file(data))?;
        let text = format!(
            "# Written by `usher up`; changes are lost.\n\
             listen: \"127.0.0.1:{port}\"\n\
             authorization {{ users: [ {{ nkey: {user} }} ] }}\n\
             pid_file: {pid}\n\
             log_file: {log}\n\
             logtime_utc: true\n\
             logfile_size_limit: 8MB\n\
             logfile_max_num: 2\n\
             jetstream {{ store_dir: {store}, max_memory_store: 64MB, max_file_store: 4GB }}\n",
            pid = quoted(&pid_file(data)),
            log = quoted(&data.path("logs/nats-server.log")),
            user = user.public_key(),
            store = quoted(store.path()),
        );
        data.folder().replace(NAME, text.as_bytes())?;
        Ok(data.path(NAME))
    }

    /// Ends the server that an `usher up` which could not clean up left running on this folder.
    /// Answers with its process id if there was one.
    pub(crate) async fn end_orphan(data: &DataFolder) -> anyhow::Result<Option<u32>> {
        orphan::end("nats-server", &pid_file(data), &data.path("nats.conf")).await
    }
}

fn candidates() -> Vec<PathBuf> {
    // Whoever names one wants that one, and is told when it will not do.
    if let Some(named) = std::env::var_os("USHER_NATS_SERVER")
        && !named.is_empty()
    {
        return vec![named.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = Vec::new();
    for folder in std::env::split_paths(&path) {
        candidates.push(folder.join("nats-server"));
    }
    // `.tools` lies in the workspace: above the current folder, or above target/debug/usher.
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_default();
    for folder in here.ancestors().chain(program.ancestors()) {
        candidates.push(folder.join(".tools/bin/nats-server"));
    }
    candidates.retain(|candidate| candidate.is_file());
    candidates
}

fn version(binary: &Path) -> Option<(String, (u32, u32))> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `nats-server: v2.15.1`, with or without the `v`.
    let version = text.trim().rsplit(['v', ' ']).next()?.to_owned();
    let mut numbers = version.split('.').map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    Some((version, (major, minor)))
}

fn pid_file(data: &DataFolder) -> PathBuf {
    data.path("nats.pid")
}

/// A path as a string of NATS's configuration language.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
