//! Asks a service's admin listener over plain HTTP: how the service is, which version it has. For
//! the start of `usher up` and for `doctor`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, anyhow};
use kit::{serve::Told, words};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

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
    let report: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    Ok(Readiness {
        is_ready: reply.status == 200,
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
    let report: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let keys = CodeKeys::deserialize(&report["code_keys"]);
    keys.context("its /readyz names no keys: it is no verification, or an older one")
}

/// From `target_info` of `/metrics`.
pub(crate) async fn version(admin_url: &str) -> Option<String> {
    let metrics = get(admin_url, "/metrics").await.ok()?.body;
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.starts_with("target_info"))?;
    let (_, rest) = line.split_once("service_version=\"")?;
    let (version, _) = rest.split_once('"')?;
    Some(version.to_owned())
}

struct Reply {
    status: u16,
    body: String,
}

/// Asks `base` (`http://HOST:PORT`; of `dns:///HOST:PORT` any replica) for `path`, for three seconds
/// at most.
async fn get(base: &str, path: &str) -> anyhow::Result<Reply> {
    let host = base.strip_prefix("http://");
    let host = host.or_else(|| base.strip_prefix("dns:///"));
    let host = host.context("it is no http:// address")?;
    let asked = timeout(
        Duration::from_secs(3),
        ask(host.trim_end_matches('/'), path),
    );
    let asked = asked.await.context("no answer within three seconds")?;
    let reply = asked.map_err(|error| anyhow!(words::of_io(&error)))?;
    let read = || {
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some(Reply {
            status: head.split(' ').nth(1)?.parse().ok()?,
            body: body.to_owned(),
        })
    };
    read().context("what answers there is no service of ours")
}

async fn ask(host: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    // HTTP/1.0: the reply ends where the connection ends, never in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    // Whoever answers on that port may be anybody: no more than this is read of it.
    stream.take(1 << 20).read_to_end(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
