//! Where one kind of attack meets one listener: its pace, its connections, and what is counted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
};

use super::{listener::Listener, tally::Tally};

/// Whoever is not let in by then is refused.
const CONNECT: Duration = Duration::from_secs(5);

/// How fast, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Connections, streams or requests a second, whatever the attack is made of.
    pub(crate) a_second: f64,
    /// Connections at once.
    pub(crate) connections: usize,
}

/// One kind of attack on one listener.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub(super) listener: Arc<Listener>,
    pub(super) tally: Arc<Tally>,
    pub(super) pace: Pace,
    room: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(listener: Arc<Listener>, pace: Pace) -> Self {
        Self {
            listener,
            tally: Arc::default(),
            pace,
            room: Arc::new(Semaphore::new(pace.connections)),
        }
    }

    /// Ticks at this part of the pace. What was missed is not made up for.
    pub(super) fn ticks(&self, part: f64) -> Interval {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / (self.pace.a_second * part)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Connections at this part of the pace, one after the other; what becomes of each is told by
    /// `held`.
    pub(super) async fn each<F>(&self, part: f64, held: impl Fn(u64, Wire) -> F)
    where
        F: Future<Output = String> + Send + 'static,
    {
        let mut ticks = self.ticks(part);
        for number in 0.. {
            ticks.tick().await;
            let Some(wire) = self.connect().await else {
                continue;
            };
            let (tally, since) = (Arc::clone(&self.tally), wire.since);
            let held = held(number, wire);
            tokio::spawn(async move { tally.answered(&held.await, since.elapsed()) });
        }
    }

    /// A connection, once there is room for one; nothing where the listener does not let it in.
    pub(super) async fn connect(&self) -> Option<Wire> {
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        let since = Instant::now();
        let refused = match timeout(CONNECT, TcpStream::connect(self.listener.addr)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                self.tally.connected();
                return Some(Wire {
                    stream,
                    tally: Arc::clone(&self.tally),
                    since,
                    _room: room,
                });
            }
            Ok(Err(error)) => format!("connections refused: {}", error.kind()),
            Err(_) => "connections not let in".to_owned(),
        };
        self.tally.answered(&refused, since.elapsed());
        None
    }
}

/// A connection that counts what it sends.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    tally: Arc<Tally>,
    pub(super) since: Instant,
    _room: OwnedSemaphorePermit,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tally.disconnected();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.tally.sent(*count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
