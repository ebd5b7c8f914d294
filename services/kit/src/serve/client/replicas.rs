//! Each endpoint behind some URLs by itself, for who keeps a stream to every one of them.

use std::{
    collections::{HashMap, VecDeque},
    fmt, mem,
    net::SocketAddr,
};

use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll, unfold},
};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tonic::transport::Endpoint;
use tower::{Layer as _, service_fn};

use super::{
    Channel, Client, client,
    dial::dial,
    endpoint::{CONNECT, kept_alive},
    named,
    resolver::{Resolved, Resolver},
};
use crate::telemetry::grpc::ClientLayer;

/// Names one endpoint over the life of the process.
pub type Replica = u64;

/// What becomes of the endpoints.
#[derive(Debug)]
pub enum ReplicaEvent {
    /// One is there, with its channel, which connects when it is first used.
    Came(Replica, Client),
    /// Its name leads to it no more. It may still answer what it was asked.
    Left(Replica),
}

/// Endpoints that come and go: of `http://HOST:PORT` the one that is there for good, of
/// `dns:///HOST:PORT` every address behind the name.
#[derive(Default)]
pub struct Replicas {
    events: VecDeque<ReplicaEvent>,
    names: Vec<Behind>,
    known: SelectAll<BoxStream<'static, (usize, Resolved)>>,
    next: Replica,
}

/// The endpoints behind one name.
struct Behind {
    resolver: Resolver,
    endpoint: Endpoint,
    here: HashMap<SocketAddr, Replica>,
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replicas({} names)", self.names.len())
    }
}

impl Replicas {
    /// Those behind these URLs.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn of<'a>(urls: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        let mut replicas = Self::default();
        for url in urls {
            let Some(name) = named(url)? else {
                let came = ReplicaEvent::Came(replicas.number(), client(url)?);
                replicas.events.push_back(came);
                continue;
            };
            let endpoint = kept_alive(Endpoint::from(name.uri()?)).connect_timeout(CONNECT);
            let (index, resolver) = (replicas.names.len(), Resolver::start(name));
            replicas.known.push(changes(index, resolver.known()));
            replicas.names.push(Behind {
                resolver,
                endpoint,
                here: HashMap::new(),
            });
        }
        Ok(replicas)
    }

    /// The next thing that becomes of them; cancel-safe.
    pub async fn next(&mut self) -> ReplicaEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match self.known.next().await {
                Some((index, known)) => self.take_in(index, &known),
                None => std::future::pending().await,
            }
        }
    }

    /// Asks for all names at once: a connection failed, perhaps because its endpoint is gone.
    pub fn ask(&self) {
        for behind in &self.names {
            behind.resolver.ask().notify_one();
        }
    }

    fn take_in(&mut self, index: usize, known: &Resolved) {
        let mut here = mem::take(&mut self.names[index].here);
        let left = here.extract_if(|addr, _| !known.addresses.contains(addr));
        let left = left.map(|(_, replica)| ReplicaEvent::Left(replica));
        self.events.extend(left);
        for addr in &known.addresses {
            if !here.contains_key(addr) {
                let replica = self.number();
                here.insert(*addr, replica);
                let client = self.names[index].client(*addr);
                self.events.push_back(ReplicaEvent::Came(replica, client));
            }
        }
        self.names[index].here = here;
    }

    fn number(&mut self) -> Replica {
        self.next += 1;
        self.next
    }
}

impl Behind {
    fn client(&self, addr: SocketAddr) -> Client {
        let connector = service_fn(move |_| async move { dial(addr).await.map(TokioIo::new) });
        let channel = self.endpoint.connect_with_connector_lazy(connector);
        ClientLayer::new(self.endpoint.uri()).layer(Channel::One(channel))
    }
}

/// All that becomes known of the name with this number.
fn changes(
    index: usize,
    known: watch::Receiver<Resolved>,
) -> BoxStream<'static, (usize, Resolved)> {
    let next = move |mut known: watch::Receiver<Resolved>| async move {
        known.changed().await.ok()?;
        let now = known.borrow_and_update().clone();
        Some(((index, now), known))
    };
    unfold(known, next).boxed()
}
