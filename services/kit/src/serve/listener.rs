//! A listener: takes connections as long as there is room, serves each within its limits, and sends
//! it away when it is old, idle, or when the service stops.

use std::{
    convert::Infallible,
    io::{self, Cursor},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use anyhow::anyhow;
use bytes::Bytes;
use http::{Request, Response};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, join},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use super::{
    capacity::{Capacity, Place},
    guarded::Guarded,
    limits::Limits,
    linger::lend,
    preface::{Speaks, preface},
    taken::TOLD_AGAIN,
};
use crate::{Seldom, random, words};

/// The longest heads of ours are under 1 KiB.
const HEAD_LIMIT: u32 = 16 * 1024;
/// What a caller may send of one request before it is read: the longest message, or some hundred
/// short ones of a stream that is not read because its caller sends more than can be done.
const STREAM_WINDOW: u32 = 16 * 1024;
/// And of all requests of a connection, for each call that it may make. h2 lets small frames that
/// wait to be read take half of that, each as 256 octets, and closes the connection beyond it: a
/// burst of honest calls must fit in, and so must some streams that are not read.
const WINDOW_OF_CALL: u32 = 4 * 1024;
/// What is kept of an answer that waits for its caller: one part of it.
const SEND_BUFFER: usize = 16 * 1024;
/// How long nothing is accepted after an error that is the system's: without descriptors the next
/// one would come at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Which versions of HTTP a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// gRPC needs no other.
    Http2,
    /// Probes speak the older one.
    Both,
}

/// How a listener serves each of its connections.
#[derive(Debug)]
struct Rules {
    versions: Versions,
    limits: Limits,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Rules {
    fn new(versions: Versions, limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.preface_deadline)
            .max_buf_size(HEAD_LIMIT as usize);
        let connection_window = limits.connection_calls.saturating_mul(WINDOW_OF_CALL);
        let connection_window = connection_window.clamp(16 * STREAM_WINDOW, 64 * STREAM_WINDOW);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.connection_calls)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEAD_LIMIT)
            // A caller that vanished holds its watches and their queries until this finds out.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            // Streams opened and reset at once cost the server work, their caller none
            // (CVE-2023-44487); and so do those that make the server reset them (CVE-2025-8671).
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(100);
        let limits = limits.clone();
        Self {
            versions,
            limits,
            http1,
            http2,
        }
    }
}

/// Serves until `stop`, and then until every connection has ended: whoever waits sets the limit.
pub(super) async fn serve<S, B>(
    listener: Arc<TcpListener>,
    capacity: Capacity,
    versions: Versions,
    service: S,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let rules = Arc::new(Rules::new(versions, capacity.limits()));
    // Dropped, it closes what is still open.
    let mut connections = JoinSet::new();
    let mut told = Seldom::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            // Ended ones are taken out, or they would be kept for ever.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // No room and nobody to make it: closed at once, so that its caller knows.
                let Ok(place) = capacity.connect() else {
                    continue;
                };
                let (rules, service, stop) = (Arc::clone(&rules), service.clone(), stop.clone());
                connections.spawn(connection(stream, place, rules, service, stop));
            }
            Err(error) => pause_after(&error, &mut told).await,
        }
    }
    // Nobody is to connect to a service that stops. Before it begins, others hold it open.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Listens on an address.
///
/// # Errors
/// When it is taken or not this machine's; the message names it.
pub async fn listen_on(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(addr).await;
    bound.map_err(|error| anyhow!("Nothing can listen on {addr}: {}.", words::of_io(&error)))
}

/// Connections that ended before they were accepted are nobody's trouble; any other error is the
/// system's.
async fn pause_after(error: &io::Error, told: &mut Seldom) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        // At every try it would drown what else is to be told.
        if told.is_due(&(), TOLD_AGAIN) {
            tracing::warn!(%error, "Connections cannot be accepted; tried again ten times a second.");
        }
        sleep(PAUSE).await;
    }
}

/// One connection, from its first octet to its last.
async fn connection<S, B>(
    stream: TcpStream,
    place: Place,
    rules: Arc<Rules>,
    service: S,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let place = Arc::new(place);
    tokio::select! {
        () = served(stream, &place, &rules, service, stop) => {}
        () = place.gone() => {}
    }
}

async fn served<S, B>(
    mut stream: TcpStream,
    place: &Arc<Place>,
    rules: &Rules,
    service: S,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let first = timeout(rules.limits.preface_deadline, preface(&mut stream));
    // What has not spoken has nothing to lose by a stop.
    let Some(Ok(Ok((speaks, said)))) = stop.run_until_cancelled(first).await else {
        return;
    };
    place.speaks();
    let (read, write) = stream.into_split();
    let (read, linger) = lend(read);
    let io = TokioIo::new(join(Cursor::new(said).chain(read), write));
    let ending = stop.child_token();
    let service = Guarded::new(service, Arc::clone(place), ending.clone());
    let until = async {
        tokio::select! {
            () = ending.cancelled() => {}
            () = place.stays_idle() => {}
            () = sleep(jittered(rules.limits.age)) => {}
        }
    };
    let grace = rules.limits.grace;
    match speaks {
        Speaks::Http2 => {
            let connection = rules.http2.serve_connection(io, service);
            let send_away = http2::Connection::graceful_shutdown;
            keep(connection, until, send_away, &ending, grace).await;
        }
        Speaks::Http1 if rules.versions == Versions::Both => {
            let connection = rules.http1.serve_connection(io, service);
            let send_away = http1::Connection::graceful_shutdown;
            keep(connection, until, send_away, &ending, grace).await;
        }
        Speaks::Http1 => drop(io),
    }
    linger.read_on().await;
}

/// Serves a connection `until` it is to end, and then what was begun, for a while.
async fn keep<C: Future>(
    connection: C,
    until: impl Future<Output = ()>,
    send_away: fn(Pin<&mut C>),
    ending: &CancellationToken,
    grace: Duration,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        // Its errors are its caller's affair.
        _ = &mut connection => return,
        () = until => {}
    }
    // Before the streams are told: what their callers ask anew is to go to another connection.
    send_away(connection.as_mut());
    ending.cancel();
    let _ = timeout(grace, connection).await;
}

/// A tenth more or less: connections that were made together do not all end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * random::fraction())
}
