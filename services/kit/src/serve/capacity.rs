//! The room of one listener: its connections, calls and streams. When it is full, whoever keeps it
//! waiting makes room: a connection that says nothing, one without a call, a call whose caller does
//! not send or take what is its turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{
    limits::Limits,
    taken::{ConnectionId, Kind, Taken, Turn},
};

/// How much of a listener may be taken, and is. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Capacity(Arc<Bounds>);

#[derive(Debug)]
struct Bounds {
    name: &'static str,
    limits: Limits,
    taken: Mutex<Taken>,
}

/// There is no room, and nobody to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Capacity {
    pub(super) fn new(name: &'static str, limits: Limits) -> Self {
        Self(Arc::new(Bounds {
            name,
            limits,
            taken: Mutex::default(),
        }))
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// A place for a new connection, which may be another's.
    pub(super) fn connect(&self) -> Result<Place, Full> {
        let mut taken = self.taken();
        if taken.connections() >= self.0.limits.connections {
            self.tell(&mut taken, "connections");
            let leaves = taken.least_used().or_else(|| taken.keeps_waiting());
            taken.close(leaves.ok_or(Full)?);
        }
        let gone = CancellationToken::new();
        let id = taken.open(gone.clone());
        Ok(Place {
            capacity: self.clone(),
            id,
            gone,
        })
    }

    fn tell(&self, taken: &mut Taken, what: &'static str) {
        if taken.is_to_tell() {
            let (listener, limits) = (self.0.name, &self.0.limits);
            tracing::warn!(
                listener,
                connections = limits.connections,
                calls = limits.calls,
                streams = limits.streams,
                "A listener is full: its {what} are all taken. Whoever keeps it waiting makes room."
            );
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // No code of others runs under the lock, so that a panic cannot leave it half written.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the room; it leaves when dropped.
#[derive(Debug)]
pub(super) struct Place {
    capacity: Capacity,
    id: ConnectionId,
    gone: CancellationToken,
}

impl Place {
    /// Waits until the connection is to make room.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// The connection has said that it speaks HTTP.
    pub(super) fn speaks(&self) {
        self.capacity.taken().speaks(self.id);
    }

    /// Waits until the connection has been without a call for too long.
    pub(super) async fn stays_idle(&self) {
        let longest = self.capacity.limits().idle;
        loop {
            let idle_for = self.capacity.taken().idle_for(self.id);
            let idle_for = idle_for.unwrap_or_default();
            if idle_for >= longest {
                return;
            }
            tokio::time::sleep(longest - idle_for).await;
        }
    }

    /// Capacity for a call, which another connection may have to make.
    pub(super) fn begin(&self, kind: Kind) -> Result<Begun, Full> {
        let (mut taken, limits) = (self.capacity.taken(), self.capacity.limits());
        match kind {
            Kind::Call if taken.calls() >= limits.calls => {
                self.capacity.tell(&mut taken, "calls");
                let leaves = taken.keeps_waiting().ok_or(Full)?;
                taken.close(leaves);
            }
            // A silent stream is no impolite one: nobody can be asked to make room.
            Kind::Stream if taken.streams() >= limits.streams => {
                self.capacity.tell(&mut taken, "streams");
                return Err(Full);
            }
            Kind::Call | Kind::Stream => {}
        }
        // None if it was this connection that had to go.
        taken.begin(self.id, kind).ok_or(Full)?;
        Ok(Begun {
            capacity: self.capacity.clone(),
            connection: self.id,
            kind,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.capacity.taken().close(self.id);
    }
}

/// A call or a stream that has room; it gives it back when dropped.
#[derive(Debug)]
pub(super) struct Begun {
    capacity: Capacity,
    connection: ConnectionId,
    kind: Kind,
}

impl Begun {
    /// It is the caller's turn, to send the request or to take the answer, until that is dropped.
    /// Nobody knows whose turn it is in a stream.
    pub(super) fn waits_for_caller(&self) -> Option<Waits> {
        (self.kind == Kind::Call).then(|| Waits {
            capacity: self.capacity.clone(),
            turn: self.capacity.taken().wait(self.connection),
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.capacity.taken().end(self.connection, self.kind);
    }
}

/// A call that waits for its caller.
#[derive(Debug)]
pub(super) struct Waits {
    capacity: Capacity,
    turn: Turn,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.capacity.taken().no_longer_waits(self.turn);
    }
}
