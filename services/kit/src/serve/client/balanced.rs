//! Calls spread over every address behind a name. Only connections that are up get calls, so that
//! an endpoint that is away fails none; a call that cannot have had an effect goes to the next one.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Code, Status,
    body::Body,
    transport::{self, Endpoint},
};
use tower::{Service as _, ServiceExt as _};

use super::{
    dial::connect,
    endpoint::kept_alive,
    host_port::HostPort,
    members::{CallKind, Choice, Chosen, Counted, Members, Reached},
    resolver::Resolver,
    unsent::Unsent,
};
use crate::{
    random,
    serve::{
        deadline::{LONGEST_CALL, patience},
        status::refused,
    },
    telemetry::grpc::stays_open,
};

/// So long after a listener would have answered by itself, its answer is not waited for any more.
const GRACE: Duration = Duration::from_secs(2);
/// Wait before a connection is tried again, doubled with each failure in a row.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// And not beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A channel to every address behind a name; clones share the connections.
#[derive(Clone)]
pub struct Balanced(Arc<Spread>);

struct Spread {
    host: String,
    members: Arc<watch::Sender<Members>>,
    /// Whose turn it is.
    turn: AtomicUsize,
    _following: AbortOnDropHandle<()>,
}

impl fmt::Debug for Balanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Balanced({})", self.0.host)
    }
}

impl Balanced {
    /// Begins to ask where `name` leads, and to connect to everything there.
    pub(super) fn new(name: &HostPort) -> Self {
        let members = Arc::new(watch::Sender::new(Members::default()));
        let following = follow(name.clone(), Arc::clone(&members));
        Self(Arc::new(Spread {
            host: name.host().to_owned(),
            members,
            // Not all callers begin with the same one.
            turn: AtomicUsize::new(random::bytes::<1>()[0].into()),
            _following: AbortOnDropHandle::new(tokio::spawn(following)),
        }))
    }

    /// Answers within the time that the caller allows, whatever becomes of the endpoints.
    pub(super) async fn call(
        self,
        request: Request<Body>,
    ) -> Result<Response<Body>, transport::Error> {
        let patience = patience(request.headers()).unwrap_or(LONGEST_CALL + GRACE);
        match timeout(patience, self.tried(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Ok(Status::deadline_exceeded("No answer in time.").into_http()),
        }
    }

    async fn tried(&self, request: Request<Body>) -> Result<Response<Body>, transport::Error> {
        let kind = match stays_open(request.uri().path()) {
            true => CallKind::Long,
            false => CallKind::Short,
        };
        let (head, body) = request.into_parts();
        let mut body = match kind {
            CallKind::Short => match Unsent::whole(body).await {
                Ok(body) => body,
                Err(status) => return Ok(status.into_http()),
            },
            CallKind::Long => Unsent::stream(body),
        };
        let mut tries = 0;
        loop {
            let chosen = match self.choose(kind).await {
                Ok(chosen) => chosen,
                Err(status) => return Ok(status.into_http()),
            };
            tries += 1;
            let Chosen {
                members,
                mut connection,
                counted,
            } = chosen;
            let request = Request::from_parts(head.clone(), body.lend());
            let outcome = match connection.channel.ready().await {
                Ok(channel) => channel.call(request).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => return Ok(answer.map(|body| counted.until_read(body))),
                // Once for each address: all may have sent their callers away in the same moment.
                Err(error) if tries <= members && body.may_be_sent(&error) => {
                    connection.over.cancel();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Who gets the next call; waits as long as that can be told within a connection's time.
    async fn choose(&self, kind: CallKind) -> Result<Chosen, Status> {
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut members = self.0.members.subscribe();
        loop {
            match members.borrow_and_update().choose(kind, turn) {
                Choice::Member(chosen) => return Ok(chosen),
                Choice::Wait => {}
                Choice::Unknown(why) => return Err(self.unknown(&why)),
                Choice::Away(count) => return Err(self.away(count)),
            }
            // The sender lives as long as we do.
            let _ = members.changed().await;
        }
    }

    fn unknown(&self, why: &str) -> Status {
        let host = &self.0.host;
        let message = format!(
            "The name {host} leads to no address: {why}. Check that it is spelt right, and that a replica behind it is \
             ready; it is asked for every few seconds, so that the same call may succeed then."
        );
        refused(Code::Unavailable, &message, "NAME_NOT_RESOLVED")
    }

    fn away(&self, count: usize) -> Status {
        let host = &self.0.host;
        Status::unavailable(format!(
            "None of the addresses behind {host} takes a connection ({count} known). They are tried again all the time."
        ))
    }
}

/// Keeps a connection to every address behind the name, for as long as it stands behind it.
async fn follow(name: HostPort, members: Arc<watch::Sender<Members>>) {
    let Ok(origin) = name.uri() else {
        return; // a name that was parsed makes a URI
    };
    let resolver = Resolver::start(name);
    let mut known = resolver.known();
    let mut kept: HashMap<SocketAddr, AbortOnDropHandle<()>> = HashMap::new();
    while known.changed().await.is_ok() {
        let known = known.borrow_and_update().clone();
        kept.retain(|addr, _| known.addresses.contains(addr));
        // Before any is connected: what a connection says of an address that is not in is lost.
        members.send_modify(|members| members.take_in(&known));
        for addr in &known.addresses {
            kept.entry(*addr).or_insert_with(|| {
                let keeping = keep(*addr, origin.clone(), members.clone(), resolver.ask());
                AbortOnDropHandle::new(tokio::spawn(keeping))
            });
        }
    }
}

/// Keeps a connection to an address.
async fn keep(
    addr: SocketAddr,
    origin: Uri,
    members: Arc<watch::Sender<Members>>,
    ask: Arc<Notify>,
) {
    // The name, not the address: it is what the caller asked for.
    let endpoint = kept_alive(Endpoint::from(origin));
    let enter = |state| members.send_modify(|members| members.enter(addr, state));
    let mut failures: u32 = 0;
    loop {
        let began = Instant::now();
        let lasted = match connect(&endpoint, addr).await {
            Ok(connection) => {
                let over = connection.over.clone();
                enter(Reached::Live(connection));
                over.cancelled().await;
                enter(Reached::Connecting);
                began.elapsed() > LONGEST_WAIT
            }
            Err(_) => {
                enter(Reached::Away);
                false
            }
        };
        // Perhaps it is gone for good, and another one has come for it.
        ask.notify_one();
        if lasted {
            failures = 0;
            continue;
        }
        let wait = SHORTEST_WAIT * 2_u32.pow(failures.min(6));
        failures = failures.saturating_add(1);
        sleep(
            wait.min(LONGEST_WAIT)
                .mul_f64(0.9 + 0.2 * random::fraction()),
        )
        .await;
    }
}

impl Counted {
    /// The call is under way until its answer was read, or nobody wants it any more.
    fn until_read(self, body: Body) -> Body {
        Body::new(body.map_frame(move |frame| {
            let _held = &self;
            frame
        }))
    }
}
