//! A TCP proxy that stands between any two parts and spoils what passes: it plays the network.
//!
//! What befalls a connection follows from its number and the conditions alone, never from the
//! moment at which a task hears of a change, and each direction has randomness of its own: a seed
//! repeats a run.

mod conditions;
mod link;
mod trap;

use std::{fmt::Display, net::SocketAddr, ops::Range, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use conditions::{Conditions, Mood};
use link::{Link, hear_nothing};
use socket2::{SockRef, Socket};
pub use trap::Way;
use trap::{Trap, Traps};

use super::SOON;

/// A running proxy; gone on drop, with all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    /// A second handle to what listens.
    listening: Socket,
    conditions: watch::Sender<Conditions>,
    traps: Traps,
    target: watch::Sender<String>,
    task: AbortHandle,
}

impl Proxy {
    /// Stands on a free port before a target: `host:port`, or a URL with both in it. The seed
    /// decides where chunks are torn and how much delays differ.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn before(target: impl Display, seed: u64) -> Self {
        let target = watch::Sender::new(only_host_and_port(target));
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port can be had");
        let addr = listener.local_addr().expect("a listener has an address");
        let listening = SockRef::from(&listener).try_clone();
        let conditions = watch::Sender::new(Conditions::default());
        let traps = Traps::new(conditions.clone());
        let accepting = accept(
            listener,
            target.subscribe(),
            seed,
            conditions.clone(),
            traps.clone(),
        );
        let task = tokio::spawn(accepting).abort_handle();
        Self {
            addr,
            listening: listening.expect("a socket has a second handle"),
            conditions,
            traps,
            target,
            task,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The target's URL with the proxy in the target's place.
    pub fn url(&self, target: &str) -> String {
        let mut url = target.to_owned();
        url.replace_range(host_and_port(target), &self.addr.to_string());
        url
    }

    /// From now on new connections lead to another target, as when a server was moved.
    pub fn lead_to(&self, target: impl Display) {
        self.target.send_replace(only_host_and_port(target));
    }

    /// Connections ever made.
    pub fn connections(&self) -> u64 {
        self.conditions.borrow().made
    }

    /// From now on everything passes, but on connections that were spoilt for good.
    pub fn pass(&self) {
        self.enter(Mood::Pass, |_| {});
    }

    /// From now on each chunk waits about so long, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.enter(Mood::Delay(delay), |_| {});
    }

    /// Resets what is open, and what is made until the mood changes as soon as it is made.
    pub fn cut(&self) {
        self.enter(Mood::Cut, |conditions| {
            conditions.cut_below = conditions.made;
        });
    }

    /// Of each connection that is open, passes a part of the next chunk and then closes it; new
    /// ones work.
    pub fn halve(&self) {
        self.enter(Mood::Pass, |conditions| {
            conditions.torn_below = conditions.made;
        });
    }

    /// What is open falls silent for good: its bytes are taken and dropped, its ends are not heard,
    /// nothing is closed. New ones work. So does a box on the way that forgets its connections.
    pub fn swallow(&self) {
        self.enter(Mood::Pass, |conditions| {
            conditions.swallowed_below = conditions.made;
        });
    }

    /// Until the mood changes, all connections are silent, those made meanwhile too, and stay so
    /// afterwards; later ones work. That one side closed such a connection is told to the other
    /// side after the hole, as TCP would by sending it again.
    pub fn hole(&self) {
        self.enter(Mood::Silence, |_| {});
    }

    /// The host is gone without a word, for good: nothing that is sent to it is acknowledged, neither
    /// on what is open nor to make a connection.
    pub fn vanish(&self) {
        hear_nothing(&self.listening);
        self.enter(Mood::Pass, |conditions| {
            conditions.vanished_below = conditions.made;
        });
    }

    /// Lets everything pass until these octets come this way: they and all that follows them on
    /// their connection, either way, reach nobody. That a side closes it is heard, new connections
    /// work. So does whoever dies in the middle of a word.
    pub fn trap(&self, way: Way, octets: impl AsRef<[u8]>) {
        self.traps.set(Trap::new(way, octets.as_ref()));
    }

    /// Waits until the octets of the newest trap have come.
    ///
    /// # Panics
    /// When they do not, with `what` was waited for.
    pub async fn sprung(&self, what: &str) {
        let mut conditions = self.conditions.subscribe();
        let sprung = conditions.wait_for(|conditions| conditions.trapped.is_some());
        let waited = timeout(SOON, sprung).await;
        assert!(waited.is_ok(), "waited {SOON:?} in vain for {what}");
    }

    fn enter(&self, mood: Mood, spoil: impl FnOnce(&mut Conditions)) {
        self.conditions.send_modify(|conditions| {
            if conditions.mood == Mood::Silence {
                conditions.silent_below = conditions.made;
            }
            conditions.mood = mood;
            spoil(conditions);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes connections until aborted; they, in the set, are aborted with it.
async fn accept(
    listener: TcpListener,
    target: watch::Receiver<String>,
    seed: u64,
    conditions: watch::Sender<Conditions>,
    traps: Traps,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut number = 0;
        conditions.send_modify(|conditions| {
            // Numbered in the same step in which conditions change: no connection is in between.
            number = conditions.made;
            conditions.made += 1;
        });
        let link = Link {
            number,
            seed,
            conditions: conditions.subscribe(),
            traps: traps.clone(),
        };
        let target = target.borrow().clone();
        connections.spawn(link.serve(client, target));
    }
}

fn only_host_and_port(target: impl Display) -> String {
    let target = target.to_string();
    target[host_and_port(&target)].to_owned()
}

/// Where host and port stand in a URL; a text without a scheme is nothing else.
fn host_and_port(text: &str) -> Range<usize> {
    let start = text.find("://").map_or(0, |scheme| scheme + 3);
    let end = text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |path| start + path);
    let host = text[start..end]
        .rfind('@')
        .map_or(start, |user| start + user + 1);
    host..end
}
