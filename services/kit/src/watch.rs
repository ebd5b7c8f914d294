//! Tells whoever watches a row, such as an open `Watch…` stream, that it has changed: this process's
//! own commits at once, another replica's by one query a second for all that is watched. The
//! watchers then read the row.

use std::{
    collections::HashMap,
    fmt::Display,
    future::Future,
    hash::Hash,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Most keys asked for in one query: far below the parameter limits of SQLite and Postgres.
const KEYS_PER_QUERY: usize = 1_000;

/// Everything that is watched in this process, by the row's key. Clones share it.
#[derive(Debug, Clone)]
pub struct Watches<K> {
    watched: Arc<Mutex<HashMap<K, Watched>>>,
}

#[derive(Debug)]
struct Watched {
    /// Counts the wake-ups; its value means nothing to the watchers.
    wake: watch::Sender<u64>,
    /// Who watches this row; the last one takes the entry along.
    watchers: usize,
    /// The row's version at the last query; none before the first.
    version: Option<i64>,
}

impl<K> Default for Watches<K> {
    fn default() -> Self {
        Self {
            watched: Arc::default(),
        }
    }
}

impl<K: Eq + Hash + Copy + Send + Sync + 'static> Watches<K> {
    /// Wakes whoever watches one of these rows. To be called after the commit that changed them.
    pub fn notify(&self, keys: &[K]) {
        // Nearly always nobody watches: then a commit of a thousand rows looks at none.
        let watched = self.lock();
        if watched.is_empty() {
            return;
        }
        for row in keys.iter().filter_map(|key| watched.get(key)) {
            row.wake.send_modify(|wakes| *wakes += 1);
        }
    }

    /// Whether somebody watches this row just now.
    pub fn is_watched(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    /// The row as a stream: as it is now and again after each change, until `is_last` says so or
    /// `stop` is cancelled; the stream then ends. `read` answers the row with its version, or
    /// nothing while there is no such row: the stream is silent until it appears. The same version
    /// is never sent twice.
    ///
    /// An error of `read` is the stream's last item.
    pub fn stream<T, E, F, R>(
        &self,
        key: K,
        read: F,
        is_last: fn(&T) -> bool,
        stop: CancellationToken,
    ) -> impl Stream<Item = Result<T, E>> + Send + use<K, T, E, F, R>
    where
        T: Send,
        E: Send,
        F: FnMut() -> R + Send,
        R: Future<Output = Result<Option<(i64, T)>, E>> + Send,
    {
        // Before the first read: a commit between the two would wake nobody otherwise.
        let wakes = self.subscribe(key);
        stream::unfold(Some((wakes, read, None)), move |state| {
            let stop = stop.clone();
            async move {
                let (mut wakes, mut read, mut sent) = state?;
                loop {
                    // Seen before the read: a change during it wakes the next round.
                    wakes.changes.borrow_and_update();
                    match stop.run_until_cancelled(read()).await? {
                        Err(error) => return Some((Err(error), None)),
                        // One change may wake twice: by this process's commit, and by a poll.
                        Ok(Some((version, row))) if sent != Some(version) => {
                            sent = Some(version);
                            let next = if is_last(&row) {
                                None
                            } else {
                                Some((wakes, read, sent))
                            };
                            return Some((Ok(row), next));
                        }
                        Ok(_) => {}
                    }
                    stop.run_until_cancelled(wakes.changes.changed())
                        .await?
                        .ok()?;
                }
            }
        })
    }

    /// Asks `versions` once every `interval` for the versions of all watched rows and wakes the
    /// watchers of those that changed, until `stop`. Rows that do not exist are left out of its
    /// answer. It asks nothing while nothing is watched.
    pub async fn run<E, F, R>(&self, interval: Duration, mut versions: F, stop: CancellationToken)
    where
        E: Display,
        F: FnMut(Vec<K>) -> R,
        R: Future<Output = Result<Vec<(K, i64)>, E>>,
    {
        let mut ticks = tokio::time::interval(interval);
        // A query that takes longer than a tick makes up for nothing: one look finds all.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Reads only, so that a stop may cut it anywhere.
        let mut polling = pin!(async {
            loop {
                ticks.tick().await;
                // Copied, because the lock must not be held over an await.
                let keys: Vec<K> = self.lock().keys().copied().collect();
                for keys in keys.chunks(KEYS_PER_QUERY) {
                    match versions(keys.to_vec()).await {
                        Ok(found) => self.compare(found),
                        // Not a warning: readiness tells of an absent database; watchers wait.
                        Err(error) => {
                            tracing::debug!(%error, "Watched rows could not be read; next query in a moment.");
                        }
                    }
                }
            }
        });
        stop.run_until_cancelled(polling.as_mut()).await;
    }

    /// How many rows are watched.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Watches a row without reading it, from now on.
    pub fn subscribe(&self, key: K) -> Subscription<K> {
        let mut watched = self.lock();
        let row = watched.entry(key).or_insert_with(|| Watched {
            wake: watch::Sender::new(0),
            watchers: 0,
            version: None,
        });
        row.watchers += 1;
        Subscription {
            changes: row.wake.subscribe(),
            key,
            watches: self.clone(),
        }
    }

    fn compare(&self, found: Vec<(K, i64)>) {
        let mut watched = self.lock();
        for (key, version) in found {
            if let Some(row) = watched.get_mut(&key)
                // None before the first query: it wakes once for nothing, rather than miss a change
                // between the stream's first read and that query.
                && row.version.replace(version) != Some(version)
            {
                row.wake.send_modify(|wakes| *wakes += 1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Watched>> {
        // No code of others runs under the lock, so that a panic cannot leave it half written.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher's place among the watched; the last one of a row takes the row out.
#[derive(Debug)]
pub struct Subscription<K: Eq + Hash + Copy + Send + Sync + 'static> {
    changes: watch::Receiver<u64>,
    key: K,
    watches: Watches<K>,
}

impl<K: Eq + Hash + Copy + Send + Sync + 'static> Subscription<K> {
    /// Waits until the row changes, or did since the last time, or since the beginning.
    pub async fn next(&mut self) {
        // Its sender lives as long as this place does.
        let _ = self.changes.changed().await;
    }
}

impl<K: Eq + Hash + Copy + Send + Sync + 'static> Drop for Subscription<K> {
    fn drop(&mut self) {
        let mut watched = self.watches.lock();
        if let Some(row) = watched.get_mut(&self.key) {
            row.watchers -= 1;
            if row.watchers == 0 {
                watched.remove(&self.key);
            }
        }
    }
}
