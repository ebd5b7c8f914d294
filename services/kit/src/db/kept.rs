//! SQLite's connections between two uses. sqlx' pool asks each one that comes back whether it is
//! alive, in a task of its own and by a trip to the connection's thread; one to a file of this
//! process's own has nothing to say. So they are kept here, and the pool only makes and closes
//! them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::sqlx::{self, Sqlite, SqlitePool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a transaction waits for a connection, and then for a lock. A caller may wait behind
/// another group that waits as long; all of it has to be over well before the caller's deadline of
/// 10 s, so that the answer is UNAVAILABLE and no riddle.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The connections of one pool. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pool: SqlitePool,
    /// As many as there are connections, and given in the order of asking: whoever has one finds a
    /// connection here, or room for one in the pool.
    turns: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// The newest last; nothing once they are closed.
#[derive(Debug)]
struct Idle(Mutex<Option<Vec<PoolConnection<Sqlite>>>>);

/// The right to use one connection.
pub(super) type ConnectionPermit = OwnedSemaphorePermit;

impl Kept {
    pub(super) fn new(pool: SqlitePool, connections: u32) -> Self {
        Self {
            pool,
            turns: Arc::new(Semaphore::new(connections as usize)),
            idle: Arc::new(Idle(Mutex::new(Some(Vec::new())))),
        }
    }

    pub(super) async fn acquire(
        &self,
    ) -> Result<(PoolConnection<Sqlite>, ConnectionPermit), sqlx::Error> {
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle.lock().as_mut().and_then(Vec::pop);
        Ok(match idle {
            Some(connection) => (connection, turn),
            None => (self.pool.acquire().await?, turn),
        })
    }

    /// Keeps a connection for the next one who asks, or answers with it once they are closed.
    pub(super) fn keep(
        &self,
        connection: PoolConnection<Sqlite>,
    ) -> Option<PoolConnection<Sqlite>> {
        match &mut *self.idle.lock() {
            Some(idle) => idle.push(connection),
            None => return Some(connection),
        }
        None
    }

    /// The pool itself, with all connections in it that nobody uses.
    pub(super) async fn pool(&self) -> SqlitePool {
        let idle = self.idle.lock().as_mut().map(std::mem::take);
        for mut connection in idle.unwrap_or_default() {
            connection.return_to_pool().await;
        }
        self.pool.clone()
    }

    pub(super) async fn close(&self) {
        let idle = self.idle.lock().take();
        for connection in idle.unwrap_or_default() {
            let _ = connection.close().await; // nothing is open on it that could be lost
        }
        self.pool.close().await;
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<PoolConnection<Sqlite>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // Detached, because dropped they would want a task to go back to their pool by, and there
        // may be no runtime any more.
        for connection in self.lock().take().unwrap_or_default() {
            drop(connection.detach());
        }
    }
}
