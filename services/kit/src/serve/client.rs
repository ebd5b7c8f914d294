//! Channels to other services: connected when first used, healed by themselves, and found dead within seconds.

use std::time::Duration;

use anyhow::Context as _;
use tonic::transport::{Channel, Endpoint};

/// What generated clients are made of.
pub type Client = Channel;

/// A channel to `url`, `http://HOST:PORT`. Does not connect yet.
///
/// # Errors
/// When `url` is none.
pub fn client(url: &str) -> anyhow::Result<Client> {
    let endpoint =
        Endpoint::from_shared(url.to_owned()).with_context(|| format!("{url} is no http://HOST:PORT."))?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect_lazy())
}
