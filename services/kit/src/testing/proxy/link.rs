//! One connection through a proxy: each chunk meets what holds when it goes on.

use std::{io, os::fd::AsFd};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use socket2::{SockFilter, SockRef};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};

use super::{
    conditions::{Conditions, Mood},
    trap::{Traps, Way},
};

const CHUNK: usize = 16 * 1024;

/// Why a connection ends before its two sides have.
enum Broken {
    Torn,
    Reset,
    /// There is nobody who could end it.
    Gone,
}

/// One connection, between its client and the target.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) seed: u64,
    pub(super) conditions: watch::Receiver<Conditions>,
    pub(super) traps: Traps,
}

impl Link {
    pub(super) async fn serve(self, mut client: TcpStream, target: String) {
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
        match end {
            Ok(()) | Err(Broken::Torn) => {}
            Err(Broken::Reset) => {
                reset(&client);
                reset(&server);
            }
            Err(Broken::Gone) => {
                hear_nothing(&client);
                // As what the host's end closes reaches nobody, it stays open.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn join(&self, client: &mut TcpStream, server: &mut TcpStream) -> Result<(), Broken> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = self.carry(from_client, to_server, Way::There);
        let back = self.carry(from_server, to_client, Way::Back);
        tokio::select! {
            ended = async { tokio::try_join!(there, back) } => ended.map(|_| ()),
            () = self.until_cut() => Err(Broken::Reset),
            () = self.until(|conditions| conditions.has_vanished(self.number)) => Err(Broken::Gone),
        }
    }

    async fn carry(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        way: Way,
    ) -> Result<(), Broken> {
        // Randomness of its own for each direction of each connection: in which order the tasks run
        // does not change what a seed repeats.
        let stream = self.seed.rotate_left(32) ^ (self.number << 1 | u64::from(way == Way::Back));
        let mut random = StdRng::seed_from_u64(stream);
        let (mut buffer, mut before) = (vec![0; CHUNK], Vec::new());
        loop {
            let length = match from.read(&mut buffer).await {
                Ok(length @ 1..) => length,
                end => {
                    // As TCP would send it again, an end in a hole is told after it; never to one
                    // that is swallowed for good.
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
            let mood = self.mood();
            let chunk = match self.traps.spring(self.number, way, &mut before, chunk) {
                Some(begins) => &chunk[..begins],
                None => chunk,
            };
            match mood {
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

/// Lets the system drop whatever arrives for this socket before TCP hears of it, so that nothing is
/// acknowledged, as of a host that is gone.
pub(super) fn hear_nothing<S: AsFd>(socket: &S) {
    const RETURN: u16 = 0x06; // of classic BPF: so many octets of the packet pass
    let filtered = SockRef::from(socket).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]);
    filtered.expect("a socket takes a filter");
}

fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
