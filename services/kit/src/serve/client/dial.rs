//! A connection to one address.

use std::{future::ready, io, net::SocketAddr};

use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{io::InspectReader, sync::CancellationToken};
use tonic::transport::{self, Endpoint};
use tower::service_fn;

use super::endpoint::CONNECT;

/// A connection that takes calls until it is over.
#[derive(Debug, Clone)]
pub(super) struct Dialled {
    pub(super) channel: transport::Channel,
    /// Cancelled as soon as it takes no further call: it broke, or the peer sends its callers away.
    pub(super) over: CancellationToken,
}

/// Connects to `addr`, where somebody speaks HTTP/2: who only takes connections, such as a process
/// that stands still, is none to send calls to.
pub(super) async fn connect(endpoint: &Endpoint, addr: SocketAddr) -> anyhow::Result<Dialled> {
    let deadline = Instant::now() + CONNECT;
    let stream = dial(addr).await?;
    let (over, spoken) = (CancellationToken::new(), CancellationToken::new());
    // Goes with the stream, whoever lets go of it.
    let (gone, heard) = (over.clone().drop_guard(), spoken.clone());
    let stream = InspectReader::new(stream, move |octets: &[u8]| {
        let _held = &gone;
        if !octets.is_empty() {
            heard.cancel();
        }
    });
    let (mut stream, refused) = (Some(TokioIo::new(stream)), over.clone());
    let connector = service_fn(move |_| {
        let stream = stream.take();
        if stream.is_none() {
            // It is asked for another one: the first takes no call any more, though answers may
            // still come on it. Another one is made by who keeps the address, not by a call.
            refused.cancel();
        }
        ready(stream.ok_or(io::Error::from(io::ErrorKind::NotConnected)))
    });
    let channel = endpoint.connect_with_connector(connector).await?;
    timeout_at(deadline, spoken.cancelled()).await?;
    Ok(Dialled { channel, over })
}

/// A TCP connection that ends soon after its other end vanished without a word, as a pod does with
/// its node: what was sent and is not acknowledged for that long ends it, by the system, however
/// busy the two programs are.
pub(super) async fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT, TcpStream::connect(addr)).await;
    let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(CONNECT))?;
    Ok(stream)
}
