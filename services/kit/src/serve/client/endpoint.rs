//! What holds for every connection, whatever it leads to.

use std::time::Duration;

use tonic::transport::Endpoint;

/// How long a connection may take to be made; and how long what was sent may go unacknowledged on
/// one to an endpoint of its own.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

pub(super) fn kept_alive(endpoint: Endpoint) -> Endpoint {
    endpoint
        // Without keepalive a peer that vanished would hold its streams until TCP gives up, and
        // nobody would try another.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        // A stream may be silent for hours, and the next call must not be the one to find out.
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
}
