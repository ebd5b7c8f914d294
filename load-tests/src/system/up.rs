//! One `usher up`. In a soak it is killed, too, and listens elsewhere afterwards: proxies stand
//! before what callers reach and follow it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use kit::testing::{NatsServer, Proxy};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    DATA, LOOK, Parts, START, System,
    unit::{Program, Unit},
};
use crate::{
    place::Place,
    target::{RunFile, Target},
};

/// What ends at once so many times will do so again.
const TRIES: u64 = 3;

impl System {
    /// Starts one and waits until it is up. Without a seed for proxies there are none: they would
    /// be measured, too. What it is not told by `settings` it has from this process.
    ///
    /// # Errors
    /// When it does not come up, with what it said.
    pub(crate) async fn up(
        usher: &Path,
        mail_url: &str,
        proxies: Option<u64>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("usher-load-")?;
        let (data, log) = (folder.path().join(DATA), folder.path().join("up.log"));
        let mut parts = Parts::default();
        let mut mail_url = mail_url.to_owned();
        if let Some(seed) = proxies {
            let proxy = Proxy::before(&mail_url, seed).await;
            mail_url = proxy.url(&mail_url);
            parts.links.insert(Place::MailerToSink.into(), vec![proxy]);
        }
        let mut environment: Vec<_> = std::env::vars().collect();
        environment.push(("USHER_MAIL_URL".to_owned(), mail_url));
        let nats = NatsServer::program().display().to_string();
        environment.push(("USHER_NATS_SERVER".to_owned(), nats));
        let told = settings.iter().map(|(name, value)| (*name, *value));
        environment.extend(told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut line = vec![usher.into()];
        line.extend(["up", "--ports", "auto", "--output", "json", "--data"].map(Into::into));
        line.push(data.clone().into());
        let unit = Unit::start(Program {
            line,
            environment,
            log: log.clone(),
            asked_by: Signal::TERM,
            is_one_with_its_children: false,
        });
        parts.units.insert(Place::Up.into(), unit);
        let deadline = Instant::now() + START;
        let mut run = loop {
            if let Ok(run) = RunFile::read(&data) {
                break run;
            }
            let said = fs::read_to_string(&log).unwrap_or_default();
            let may_come = Instant::now() < deadline && parts.ended_by_themselves() < TRIES;
            ensure!(may_come, "`usher up` does not come up:\n{said}");
            sleep(LOOK).await;
        };
        let mut followers = JoinSet::new();
        if let Some(seed) = proxies {
            followers.spawn(follow(data, proxies_before(&mut run, seed).await));
        }
        Ok(Self {
            target: Target::of(&run)?,
            parts,
            _followers: followers,
            folder: Some(folder),
        })
    }
}

/// Puts a proxy in the place of each listener.
async fn proxies_before(run: &mut RunFile, seed: u64) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for url in run.urls() {
        let proxy = Proxy::before(&url, seed).await;
        *url = proxy.url(url);
        proxies.push(proxy);
    }
    proxies
}

/// Leads each proxy to where its listener is now.
async fn follow(data: PathBuf, proxies: Vec<Proxy>) {
    loop {
        // While `usher up` starts again there is none.
        if let Ok(mut run) = RunFile::read(&data) {
            for (proxy, url) in proxies.iter().zip(run.urls()) {
                proxy.lead_to(url);
            }
        }
        sleep(LOOK).await;
    }
}
