//! How a service listens and stops: a public gRPC listener, an admin listener for operators and
//! probes, and a shutdown in two stages that loses nothing.

mod admin;
mod client;
mod deadline;
mod health;
mod reflection;
mod secrets;
mod settings;
mod signals;
mod stages;
mod status;

use std::{future::Future, net::SocketAddr, pin::pin, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    service::Routes,
    transport::{Server as Grpc, server::TcpIncoming},
};
use tower::util::MapResponseLayer;

use self::deadline::LONGEST_CALL;
use crate::telemetry::grpc::ServerLayer;

pub use admin::AdminToken;
pub use client::{Client, client};
pub use deadline::deadline;
pub use health::Health;
pub use secrets::read_or_make;
pub use settings::{Parts, ServiceSettings};
pub use signals::terminated;
pub use stages::Stages;
pub use status::{
    internal, invalid_argument, refused, retry_after, store_failed, unavailable, uuid,
};

/// Longest gRPC message that a service reads: the longest valid request is under 2 KiB.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// How long servers may take to answer what they have begun.
const DRAIN: Duration = Duration::from_secs(5);
/// How long workers may take for their last pass. Each bounds its own by less, so that it ends in
/// order.
const FINISH: Duration = Duration::from_secs(2);

/// What a service offers.
pub struct Surface {
    /// The public gRPC services.
    pub public: Routes,
    /// Their full names, for gRPC health and reflection.
    pub names: &'static [&'static str],
    /// The operators' gRPC services; they need the token.
    pub admin: Routes,
    /// Their full names, for reflection.
    pub admin_names: &'static [&'static str],
    /// Proves that the caller is an operator.
    pub token: AdminToken,
    /// Whether the service is ready.
    pub health: Health,
}

/// Two bound listeners.
#[derive(Debug)]
pub struct Server {
    public: TcpListener,
    admin: TcpListener,
    addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Server {
    /// Binds both listeners; port 0 takes a free one.
    ///
    /// # Errors
    /// When an address is taken or not this machine's; the message names it.
    pub async fn bind(listen: SocketAddr, admin_listen: SocketAddr) -> anyhow::Result<Self> {
        let bind = async |addr: SocketAddr| {
            TcpListener::bind(addr)
                .await
                .with_context(|| format!("Nothing can listen on {addr}."))
        };
        let (public, admin) = (bind(listen).await?, bind(admin_listen).await?);
        let (addr, admin_addr) = (public.local_addr()?, admin.local_addr()?);
        Ok(Self {
            public,
            admin,
            addr,
            admin_addr,
        })
    }

    /// Where the public services listen.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where operators and probes ask.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Serves until `shutdown`, then: not ready, stop taking work, answer what was begun, let the
    /// workers finish. Returns within 8 s whatever hangs: telemetry and the database have the rest
    /// of the ten.
    ///
    /// # Errors
    /// When a listener fails, or a worker ends before its time; then within a second.
    pub async fn run(
        self,
        surface: Surface,
        stages: Stages,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let Surface {
            public,
            names,
            admin,
            admin_names,
            token,
            health,
        } = surface;
        let admin = admin.add_service(reflection::of(admin_names)?);
        tracing::info!(listen = %self.addr, admin = %self.admin_addr, "Listening.");
        // Two stops: probes are to see the service drain after callers are sent away.
        let (stopped, probed) = (stages.stop.clone(), CancellationToken::new());
        let grpc = tokio::spawn(serve_public(
            self.public,
            public,
            names,
            health.clone(),
            stopped,
        ));
        let admin = tokio::spawn(admin::serve(
            self.admin,
            admin,
            token,
            health.clone(),
            probed.clone(),
        ));
        let (mut grpc, mut admin) = (grpc, admin);
        let mut shutdown = pin!(shutdown);
        let failed = tokio::select! {
            () = &mut shutdown => None,
            result = &mut grpc => Some(result),
            result = &mut admin => Some(result),
            name = stages.ended_worker() => {
                // No drain: what the worker left undone would only be waited for. The next process
                // goes on from what is committed.
                health.worker_ended(name);
                stages.abandon().await;
                grpc.abort();
                admin.abort();
                bail!("The worker `{name}` ended before its time; its log says why.");
            }
        };
        tracing::info!("Shutting down: taking nothing new, finishing what was begun.");
        // Not ready first: whoever balances callers hears of it while answers still go out.
        health.drain();
        stages.stop.cancel();
        // A watch ends by `stop`; what hangs here is a caller that does not read, or a commit. A
        // task that has ended, as a failed listener's, must not be awaited again.
        if failed.is_none() && timeout(DRAIN, &mut grpc).await.is_err() {
            tracing::warn!("Some callers are still connected; their connections are closed.");
            grpc.abort();
        }
        // Only now: what the servers answered last may have left rows and mails for the workers.
        stages.finish.cancel();
        probed.cancel();
        // An open tracker is waited for in vain: more could still be spawned on it.
        stages.tasks.close();
        if timeout(FINISH, stages.tasks.wait()).await.is_err() {
            tracing::warn!(
                "A worker did not finish in time; the next start goes on where it stopped."
            );
        }
        admin.abort();
        match failed {
            Some(result) => result
                .context("A listener's task died.")?
                .context("A listener failed."),
            None => Ok(()),
        }
    }
}

fn explain_size<B>(mut response: http::Response<B>) -> http::Response<B> {
    // tonic refuses such a message before any handler of ours sees it, and without a detail; this
    // adds what a program can compare. A handler's own OUT_OF_RANGE would have details.
    let refused = Status::from_header_map(response.headers());
    if refused
        .is_some_and(|status| status.code() == Code::OutOfRange && status.details().is_empty())
    {
        let message =
            format!("The message is longer than the {MESSAGE_LIMIT} bytes that are read.");
        let status = self::refused(Code::ResourceExhausted, &message, "MESSAGE_TOO_LARGE");
        // Headers that cannot be written leave the refusal as it was.
        let _ = status.add_header(response.headers_mut());
    }
    response
}

/// What is not limited here is what an attacker uses.
async fn serve_public(
    listener: TcpListener,
    routes: Routes,
    names: &'static [&'static str],
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = reflection::of(&[names, &["grpc.health.v1.Health"]].concat())?;
    let checking = tokio::spawn(health.clone().check_writes());
    let reporting = tokio::spawn(health.report(reporter, names));
    let served = Grpc::builder()
        .layer(ServerLayer::default())
        .layer(MapResponseLayer::new(explain_size))
        // Also for callers that name no deadline of their own.
        .timeout(LONGEST_CALL)
        // The first holds calls back, the second refuses streams before they are read.
        .concurrency_limit_per_connection(1_024)
        .max_concurrent_streams(1_024)
        // A caller that vanished holds its watches and their queries until this finds out.
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 * 1024)
        // Streams opened and reset at once cost the server work, their caller none
        // (CVE-2023-44487).
        .http2_max_pending_accept_reset_streams(Some(20))
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move {
                stop.cancelled().await;
            },
        )
        .await;
    // Both run for ever, and hold the database open.
    checking.abort();
    reporting.abort();
    Ok(served?)
}
