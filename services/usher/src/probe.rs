//! Asks a service's admin listener over plain HTTP: how the service is, which version it has. For
//! the start of `usher up` and for `doctor`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use hyper::StatusCode;
use kit::serve::Told;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::web::{Answered, Web};

/// What a service says of itself on `/readyz`.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) is_ready: bool,
    /// Why it is not ready.
    pub(crate) not_ready: Option<Told>,
    /// What it depends on and cannot use.
    pub(crate) degraded: BTreeMap<String, Told>,
    /// By its clock, RFC 3339.
    pub(crate) now: Option<String>,
}

pub(crate) async fn readiness(admin_url: &str) -> anyhow::Result<Readiness> {
    let reply = get(admin_url, "/readyz").await?;
    let report: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    Ok(Readiness {
        is_ready: reply.status == StatusCode::OK,
        not_ready: Deserialize::deserialize(&report).ok(),
        degraded: Deserialize::deserialize(&report["degraded"]).unwrap_or_default(),
        now: report["now"].as_str().map(str::to_owned),
    })
}

/// The ids of the keys from which codes are derived, as a replica of verification says them.
#[derive(Debug, Deserialize)]
pub(crate) struct CodeKeys {
    /// Codes are made from these, or were a moment ago.
    pub(crate) in_use: Vec<String>,
    pub(crate) known: Vec<String>,
}

/// Ready or not, it says so.
pub(crate) async fn code_keys(admin_url: &str) -> anyhow::Result<CodeKeys> {
    let reply = get(admin_url, "/readyz").await?;
    let report: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let keys = CodeKeys::deserialize(&report["code_keys"]);
    keys.context("its /readyz names no keys: it is no verification, or an older one")
}

/// From `target_info` of `/metrics`.
pub(crate) async fn version(admin_url: &str) -> Option<String> {
    let metrics = get(admin_url, "/metrics").await.ok()?.body;
    let mut lines = std::str::from_utf8(&metrics).ok()?.lines();
    let line = lines.find(|line| line.starts_with("target_info"))?;
    let (_, rest) = line.split_once("service_version=\"")?;
    let (version, _) = rest.split_once('"')?;
    Some(version.to_owned())
}

/// Asks `base` (`http://HOST:PORT`; of `dns:///HOST:PORT` any replica) for `path`, for three seconds
/// at most.
async fn get(base: &str, path: &str) -> anyhow::Result<Answered> {
    let url = match base.strip_prefix("dns:///") {
        Some(host) => format!("http://{host}"),
        None => base.to_owned(),
    };
    let service = Web::at(url.parse().map_err(anyhow::Error::msg::<String>)?);
    let asked = timeout(Duration::from_secs(3), service.get(path));
    Ok(asked.await.context("no answer within three seconds")??)
}
