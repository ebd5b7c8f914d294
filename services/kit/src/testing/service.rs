//! A service that runs in the test's own process, on free ports, until it is told to stop.

use std::{marker::PhantomData, net::SocketAddr, path::PathBuf};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{Request, transport::Channel};

use super::Environment;

/// A running service whose callers are `C`. Dropped, it is told to stop; `stop` awaits that.
#[derive(Debug)]
pub struct Service<C> {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    token: PathBuf,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
    client: PhantomData<fn() -> C>,
}

impl<C: From<Channel>> Service<C> {
    /// Runs a service that listens at these addresses; `run_until` gets what it runs until.
    pub fn start<R>(
        settings: &Environment,
        [addr, admin_addr]: [SocketAddr; 2],
        run_until: impl FnOnce(BoxFuture<'static, ()>) -> R,
    ) -> Self
    where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (shutdown, asked) = oneshot::channel();
        let ended = tokio::spawn(run_until(asked.map(drop).boxed()));
        Self {
            addr,
            admin_addr,
            token: settings.get("USHER_ADMIN_TOKEN_FILE").into(),
            shutdown,
            ended,
            client: PhantomData,
        }
    }

    /// Where its public listener is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A caller with a connection of its own.
    pub fn client(&self) -> C {
        channel(self.addr).into()
    }

    /// An operator: `service.admin(AccountsAdminClient::new)`.
    pub fn admin<A>(&self, new: fn(Channel) -> A) -> A {
        new(channel(self.admin_addr))
    }

    /// A request with the operators' token.
    pub fn as_operator<T>(&self, message: T) -> Request<T> {
        let token = std::fs::read_to_string(&self.token).expect("the service made its token");
        let bearer = format!("Bearer {}", token.trim());
        let bearer = bearer.parse().expect("a token is printable");
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    /// What a probe gets from `/readyz`, `/livez` or `/metrics`: the HTTP status and the body.
    pub async fn probe(&self, path: &str) -> (u16, String) {
        let answer = probe(self.admin_addr, path).await;
        answer.expect("the admin listener answers")
    }

    /// Its probes in a hole between it and its database: it is alive and not ready, and the replica
    /// beside it is ready.
    ///
    /// # Panics
    /// When they say otherwise.
    pub async fn tells_of_the_hole(&self, beside: &Self) {
        assert_eq!(self.probe("/readyz").await.0, 503);
        assert_eq!(self.probe("/livez").await.0, 200);
        assert_eq!(beside.probe("/readyz").await.0, 200);
    }

    /// Tells it to stop and waits until it has drained.
    pub async fn stop(self) {
        let ended = self
            .begin_to_stop()
            .await
            .expect("the service does not panic");
        ended.expect("the service ends well");
    }

    /// Tells it to stop; what is returned ends when it has drained.
    pub fn begin_to_stop(self) -> JoinHandle<anyhow::Result<()>> {
        let _ = self.shutdown.send(());
        self.ended
    }
}

/// A connection that is made when it is first used.
pub fn channel(addr: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{addr}"));
    endpoint.expect("an address makes a URL").connect_lazy()
}

/// What a probe gets from an admin listener: the HTTP status and the body.
///
/// # Errors
/// When nobody answers, or not with a whole head.
pub async fn probe(admin: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: usher\r\nconnection: close\r\n\r\n");
    let mut connection = TcpStream::connect(admin).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply).await?;
    let answer = || {
        let (head, body) = reply.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    };
    answer().ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}
