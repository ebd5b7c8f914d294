//! Channels to other services: connected when first used, healed by themselves, and found dead
//! within seconds.

use std::time::Duration;

use anyhow::Context as _;
use tonic::transport::{Channel, Endpoint};
use tower::Layer as _;

use crate::telemetry::grpc::{ClientLayer, MeasuredClient};

/// What generated clients are made of: a channel that is traced and measured.
pub type Client = MeasuredClient<Channel>;

/// A channel to `url`, `http://HOST:PORT`. Does not connect yet.
///
/// # Errors
/// When `url` is none.
pub fn client(url: &str) -> anyhow::Result<Client> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url} is no http://HOST:PORT."))?;
    let traced = ClientLayer::new(endpoint.uri());
    let channel = endpoint
        // Without keepalive a peer that vanished would hold its streams until TCP gives up, and
        // nobody would try another.
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        // A stream may be silent for hours, and the next call must not be the one to find out.
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        // The peer may start later than we do, or be away: that is no reason not to start.
        .connect_lazy();
    Ok(traced.layer(channel))
}
