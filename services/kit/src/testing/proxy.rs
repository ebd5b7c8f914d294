//! A TCP proxy that stands between any two parts and spoils what passes: it plays the network.
//!
//! What befalls a connection follows from its number and the conditions alone, never from the moment at which a task
//! hears of a change, and each direction has randomness of its own: a seed repeats a run.

use std::{fmt::Display, io, net::SocketAddr, ops::Range, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

const CHUNK: usize = 16 * 1024;

/// A running proxy; gone on drop, with all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    conditions: watch::Sender<Conditions>,
    task: AbortHandle,
}

/// Connections are numbered as they are made; a limit holds for those below it, the mood for all others.
#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    mood: Mood,
    made: u64,
    cut_below: u64,
    torn_below: u64,
    silent_below: u64,
    swallowed_below: u64,
}

/// What happens to a connection's next chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Pass,
    Delay(Duration),
    Halve,
    Silence,
    Cut,
}

/// Why a connection ends before its two sides have.
enum Broken {
    Torn,
    Reset,
}

impl Proxy {
    /// Stands on a free port before a target: `host:port`, or a URL with both in it. The seed decides where chunks
    /// are torn and how much delays differ.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn before(target: impl Display, seed: u64) -> Self {
        let target = target.to_string();
        let target = target[host_and_port(&target)].to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port can be had");
        let addr = listener.local_addr().expect("a listener has an address");
        let conditions = watch::Sender::new(Conditions::default());
        let task = tokio::spawn(accept(listener, target, seed, conditions.clone())).abort_handle();
        Self {
            addr,
            conditions,
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

    /// Of each connection that is open, passes a part of the next chunk and then closes it; new ones work.
    pub fn halve(&self) {
        self.enter(Mood::Pass, |conditions| {
            conditions.torn_below = conditions.made;
        });
    }

    /// What is open falls silent for good: its bytes are taken and dropped, its ends are not heard, nothing is
    /// closed. New ones work. So does a box on the way that forgets its connections.
    pub fn swallow(&self) {
        self.enter(Mood::Pass, |conditions| {
            conditions.swallowed_below = conditions.made;
        });
    }

    /// Until the mood changes, all connections are silent, those made meanwhile too, and stay so afterwards; later
    /// ones work. That one side closed such a connection is told to the other side after the hole, as TCP would by
    /// sending it again.
    pub fn hole(&self) {
        self.enter(Mood::Silence, |_| {});
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

impl Conditions {
    fn mood(&self, number: u64) -> Mood {
        if number < self.cut_below {
            Mood::Cut
        } else if self.mood == Mood::Silence || number < self.silent_below.max(self.swallowed_below)
        {
            Mood::Silence
        } else if number < self.torn_below {
            Mood::Halve
        } else {
            self.mood
        }
    }

    /// Whether the end of one side of a connection reaches the other.
    fn ends_are_heard(&self, number: u64) -> bool {
        self.mood != Mood::Silence && number >= self.swallowed_below
    }
}

/// Takes connections until aborted; they, in the set, are aborted with it.
async fn accept(
    listener: TcpListener,
    target: String,
    seed: u64,
    conditions: watch::Sender<Conditions>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut number = 0;
        conditions.send_modify(|conditions| {
            number = conditions.made;
            conditions.made += 1;
        });
        let link = Link {
            number,
            seed,
            conditions: conditions.subscribe(),
        };
        connections.spawn(link.serve(client, target.clone()));
    }
}

struct Link {
    number: u64,
    seed: u64,
    conditions: watch::Receiver<Conditions>,
}

impl Link {
    async fn serve(self, mut client: TcpStream, target: String) {
        if self.mood() == Mood::Silence {
            // Made in a hole, it reaches nobody.
            self.until_cut().await;
            return reset(&client);
        }
        let Ok(mut server) = TcpStream::connect(target).await else {
            return reset(&client);
        };
        // A chunk is passed when it comes, not when the one before was acknowledged.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let end = self.join(&mut client, &mut server).await;
        // What was torn is closed in order, so that its half arrives.
        if let Err(Broken::Reset) = end {
            reset(&client);
            reset(&server);
        }
    }

    async fn join(&self, client: &mut TcpStream, server: &mut TcpStream) -> Result<(), Broken> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = self.carry(from_client, to_server, 0);
        let back = self.carry(from_server, to_client, 1);
        tokio::select! {
            ended = async { tokio::try_join!(there, back) } => ended.map(|_| ()),
            () = self.until_cut() => Err(Broken::Reset),
        }
    }

    async fn carry(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        way: u64,
    ) -> Result<(), Broken> {
        let stream = self.seed.rotate_left(32) ^ (self.number << 1 | way);
        let mut random = StdRng::seed_from_u64(stream);
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = match from.read(&mut buffer).await {
                Ok(length @ 1..) => length,
                end => {
                    self.until(|conditions| conditions.ends_are_heard(self.number))
                        .await;
                    end?;
                    return Ok(to.shutdown().await?);
                }
            };
            let chunk = &buffer[..length];
            if let Mood::Delay(delay) = self.mood() {
                sleep(delay.mul_f64(random.random_range(0.5..1.5))).await;
            }
            // Asked again: what waited meets what holds when it goes on.
            match self.mood() {
                Mood::Pass | Mood::Delay(_) => to.write_all(chunk).await?,
                Mood::Silence => {}
                Mood::Halve => {
                    let half = random.random_range(1..length.max(2)).min(length - 1);
                    to.write_all(&chunk[..half]).await?;
                    return Err(Broken::Torn);
                }
                Mood::Cut => return Err(Broken::Reset),
            }
        }
    }

    fn mood(&self) -> Mood {
        self.conditions.borrow().mood(self.number)
    }

    async fn until_cut(&self) {
        self.until(|conditions| conditions.mood(self.number) == Mood::Cut)
            .await;
    }

    async fn until(&self, holds: impl Fn(&Conditions) -> bool) {
        // The sender lives as long as the task that this one ends with.
        let _ = self
            .conditions
            .clone()
            .wait_for(|conditions| holds(conditions))
            .await;
    }
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Reset
    }
}

fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
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
