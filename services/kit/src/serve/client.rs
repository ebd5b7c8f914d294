//! Channels to other services: connected when first used, healed by themselves, and found dead
//! within seconds. `http://HOST:PORT` is one connection, whatever stands behind it. Behind
//! `dns:///HOST:PORT` every address is an endpoint: `resolver` asks what the name leads to, `dial`
//! makes a connection to an address, `members` knows which of them take calls, `balanced` spreads
//! the calls. `replicas` is for who keeps a stream to each endpoint.

mod balanced;
mod dial;
mod endpoint;
mod host_port;
mod members;
#[cfg(feature = "testing")]
mod name;
mod replicas;
mod resolver;
mod unsent;

use std::task::{Context, Poll};

use anyhow::{Context as _, ensure};
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response, Uri};
use tonic::{
    body::Body,
    transport::{self, Endpoint},
};
use tower::{Layer as _, Service};

#[cfg(feature = "testing")]
pub use self::name::Name;
pub use self::{
    balanced::Balanced,
    replicas::{Replica, ReplicaEvent, Replicas},
};
use self::{
    endpoint::{CONNECT, kept_alive},
    host_port::HostPort,
};
use crate::telemetry::grpc::{ClientLayer, MeasuredClient};

/// What generated clients are made of: a channel that is traced and measured.
pub type Client = MeasuredClient<Channel>;

/// A way to a service.
#[derive(Debug, Clone)]
pub enum Channel {
    /// One connection.
    One(transport::Channel),
    /// One to each address behind a name.
    Balanced(Balanced),
}

/// A channel to `url`, `http://HOST:PORT` or `dns:///HOST:PORT`, traced and measured. Does not
/// connect yet.
///
/// # Errors
/// When `url` is none.
pub fn client(url: &str) -> anyhow::Result<Client> {
    let (channel, peer) = reach(url)?;
    Ok(ClientLayer::new(&peer).layer(channel))
}

/// The same, neither traced nor measured.
///
/// # Errors
/// When `url` is none.
pub fn channel(url: &str) -> anyhow::Result<Channel> {
    let (channel, _) = reach(url)?;
    Ok(channel)
}

fn reach(url: &str) -> anyhow::Result<(Channel, Uri)> {
    if let Some(name) = named(url)? {
        let (balanced, peer) = (Balanced::new(&name), name.uri()?);
        return Ok((Channel::Balanced(balanced), peer));
    }
    let endpoint = Endpoint::from_shared(url.to_owned());
    let endpoint = endpoint.with_context(|| format!("{url} is no http://HOST:PORT."))?;
    let peer = endpoint.uri().clone();
    // The peer may start later than we do, or be away: that is no reason not to start.
    let channel = kept_alive(endpoint).connect_timeout(CONNECT).connect_lazy();
    Ok((Channel::One(channel), peer))
}

/// The name in `dns:///HOST:PORT`; nothing in a URL of another kind.
fn named(url: &str) -> anyhow::Result<Option<HostPort>> {
    let name = HostPort::parse(url);
    ensure!(
        name.is_some() || !url.starts_with("dns:"),
        "{url} is no dns:///HOST:PORT."
    );
    Ok(name)
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, transport::Error>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), transport::Error>> {
        match self {
            Self::One(channel) => channel.poll_ready(task),
            // It waits within the call, where the call's deadline holds.
            Self::Balanced(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::One(channel) => channel.call(request).boxed(),
            Self::Balanced(balanced) => balanced.clone().call(request).boxed(),
        }
    }
}
