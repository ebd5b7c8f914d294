//! How a service listens and stops: a public gRPC listener, an admin listener for operators and
//! probes, and a shutdown in two stages that loses nothing.

mod admin;
mod bodies;
mod capacity;
mod client;
mod deadline;
mod descriptors;
mod guarded;
mod health;
mod limits;
mod linger;
mod listener;
mod plain;
mod preface;
mod public;
mod pulse;
mod secrets;
mod settings;
mod signals;
mod size;
mod stages;
mod status;
mod taken;
mod told;
mod waiting;

use std::{
    future::Future,
    io::{self, Write as _},
    net::SocketAddr,
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::capacity::Capacity;

pub use admin::AdminToken;
#[cfg(feature = "testing")]
pub use client::Name;
pub use client::{Balanced, Channel, Client, Replica, ReplicaEvent, Replicas, channel, client};
pub use deadline::{deadline, item_deadline, stream_deadline, until};
pub use guarded::ending;
pub use health::Health;
pub use limits::ListenerSettings;
pub use listener::listen_on;
pub use plain::plain_http;
pub use pulse::beat;
pub use secrets::{Looking, Secrets};
pub use settings::{Parts, ServiceSettings};
pub use signals::{StopSignals, at_most_ten_seconds, terminated};
pub use size::{MESSAGE_LIMIT, explained_size};
pub use stages::Stages;
pub use status::{
    InvalidUuid, from_message, internal, invalid_argument, parse_uuid, refused, retry_after,
    store_failed, to_message, unavailable, unavailable_here, uuid,
};
pub use told::{Degraded, Told};

use crate::{config::Switch, telemetry::grpc::CallerTraces, write_behind::write_behind};

/// How long servers may take to answer what they have begun.
const DRAIN: Duration = Duration::from_secs(5);
/// How long workers may take for their last pass, and what the servers left of their time on top.
/// Each bounds its own by less, so that it ends in order. Of ten seconds, three are left for goodbyes to the mail server, for the database and for
/// telemetry, which have limits of their own.
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

/// Two bound listeners, each with room of its own.
#[derive(Debug)]
pub struct Server {
    public: (Arc<TcpListener>, Capacity),
    admin: (Arc<TcpListener>, Capacity),
    addr: SocketAddr,
    admin_addr: SocketAddr,
    callers: CallerTraces,
    reflection: Switch,
}

impl Server {
    /// Binds both listeners; port 0 takes a free one.
    ///
    /// # Errors
    /// When an address is taken or not this machine's, or a limit makes no sense; the message names
    /// it.
    pub async fn bind(
        listen: SocketAddr,
        admin_listen: SocketAddr,
        limits: &ListenerSettings,
    ) -> anyhow::Result<Self> {
        let (limits, admin_limits) = limits.limits()?;
        let (public, admin) = (listen_on(listen).await?, listen_on(admin_listen).await?);
        let (addr, admin_addr) = (public.local_addr()?, admin.local_addr()?);
        Ok(Self {
            public: (Arc::new(public), Capacity::new("public", limits)),
            admin: (Arc::new(admin), Capacity::new("admin", admin_limits)),
            addr,
            admin_addr,
            callers: CallerTraces::default(),
            reflection: Switch::On,
        })
    }

    /// The same with callers whose traces become what is said here.
    #[must_use]
    pub fn caller_traces(mut self, callers: CallerTraces) -> Self {
        self.callers = callers;
        self
    }

    /// The same with reflection on both listeners, or without.
    #[must_use]
    pub fn reflection(mut self, reflection: Switch) -> Self {
        self.reflection = reflection;
        self
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
        let (mut public, mut admin) = (public, admin);
        if self.reflection.is_on() {
            let told = [names, &["grpc.health.v1.Health"]].concat();
            public = public.add_service(public::reflection(&told)?);
            admin = admin.add_service(public::reflection(admin_names)?);
        }
        tracing::info!(listen = %self.addr, admin = %self.admin_addr, "Listening.");
        health.looks_after(stages.pulses.clone());
        // Two stops: probes are to see the service drain after callers are sent away.
        let (stopped, probed) = (stages.stop.clone(), CancellationToken::new());
        let (listener, capacity) = self.public;
        let grpc = tokio::spawn(public::serve(
            listener,
            capacity,
            public,
            names,
            health.clone(),
            self.callers,
            stopped,
        ));
        let (listener, capacity) = self.admin;
        let admin = tokio::spawn(admin::serve(
            listener,
            capacity,
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
                bail!(
                    "The worker `{name}` ended before its time, and the service with it; the log says why. Started again, \
                     it goes on where it was."
                );
            }
        };
        tracing::info!("Shutting down: taking nothing new, finishing what was begun.");
        let finished_by = Instant::now() + DRAIN + FINISH;
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
        let finished = timeout_at(finished_by, stages.tasks.wait());
        if finished.await.is_err() {
            tracing::warn!(
                "A worker did not finish in time; the next start goes on where it stopped."
            );
        }
        admin.abort();
        match failed {
            Some(result) => result.context("A listener's task died; the log says why."),
            None => Ok(()),
        }
    }
}

/// The end of a service's own program: says why it failed, and how.
pub fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // Nobody may be reading any more: that is no reason not to end.
    let (mut stderr, last_lines) = write_behind("last words", io::stderr());
    let _ = stderr.write_all(format!("Error: {error:?}\n").as_bytes());
    drop(last_lines);
    ExitCode::FAILURE
}
