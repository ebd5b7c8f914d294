//! Tells open `Watch…` streams that a row has changed: this process's own commits at once, another replica's
//! by one query a second for all that is watched. The streams then read the row and send it.

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
    /// Open streams on this row; the last one takes the entry along.
    streams: usize,
    /// The row's version at the last query; none before the first.
    version: Option<i64>,
}

impl<K> Default for Watches<K> {
    fn default() -> Self {
        Self { watched: Arc::default() }
    }
}

impl<K: Eq + Hash + Copy + Send + Sync + 'static> Watches<K> {
    /// Wakes whoever watches one of these rows. To be called after the commit that changed them.
    pub fn notify(&self, keys: &[K]) {
        let watched = self.lock();
        if watched.is_empty() {
            return;
        }
        for row in keys.iter().filter_map(|key| watched.get(key)) {
            row.wake.send_modify(|wakes| *wakes += 1);
        }
    }

    /// The row as a stream: as it is now and again after each change, until `is_last` says so or `stop` is
    /// cancelled; the stream then ends. `read` answers the row with its version, or nothing while there is no
    /// such row: the stream is silent until it appears. The same version is never sent twice.
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
                        Ok(Some((version, row))) if sent != Some(version) => {
                            sent = Some(version);
                            let next = if is_last(&row) { None } else { Some((wakes, read, sent)) };
                            return Some((Ok(row), next));
                        }
                        Ok(_) => {}
                    }
                    stop.run_until_cancelled(wakes.changes.changed()).await?.ok()?;
                }
            }
        })
    }

    /// Asks `versions` once every `interval` for the versions of all watched rows and wakes the watchers of
    /// those that changed, until `stop`. Rows that do not exist are left out of its answer. It asks nothing
    /// while nothing is watched.
    pub async fn run<E, F, R>(&self, interval: Duration, mut versions: F, stop: CancellationToken)
    where
        E: Display,
        F: FnMut(Vec<K>) -> R,
        R: Future<Output = Result<Vec<(K, i64)>, E>>,
    {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut polling = pin!(async {
            loop {
                ticks.tick().await;
                let keys: Vec<K> = self.lock().keys().copied().collect();
                for keys in keys.chunks(KEYS_PER_QUERY) {
                    match versions(keys.to_vec()).await {
                        Ok(found) => self.compare(found),
                        Err(error) => {
                            tracing::debug!(%error, "Watched rows could not be read; next query in a moment.");
                        }
                    }
                }
            }
        });
        stop.run_until_cancelled(polling.as_mut()).await;
    }

    fn subscribe(&self, key: K) -> Subscription<K> {
        let mut watched = self.lock();
        let row = watched.entry(key).or_insert_with(|| Watched {
            wake: watch::Sender::new(0),
            streams: 0,
            version: None,
        });
        row.streams += 1;
        Subscription { changes: row.wake.subscribe(), key, watches: self.clone() }
    }

    fn compare(&self, found: Vec<(K, i64)>) {
        let mut watched = self.lock();
        for (key, version) in found {
            if let Some(row) = watched.get_mut(&key)
                && row.version.replace(version) != Some(version)
            {
                row.wake.send_modify(|wakes| *wakes += 1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream's place among the watched; the last one of a row takes the row out.
struct Subscription<K: Eq + Hash + Copy + Send + Sync + 'static> {
    changes: watch::Receiver<u64>,
    key: K,
    watches: Watches<K>,
}

impl<K: Eq + Hash + Copy + Send + Sync + 'static> Drop for Subscription<K> {
    fn drop(&mut self) {
        let mut watched = self.watches.lock();
        if let Some(row) = watched.get_mut(&self.key) {
            row.streams -= 1;
            if row.streams == 0 {
                watched.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicI64, Ordering},
    };

    use futures::StreamExt as _;

    use super::*;

    fn row(
        version: &Arc<AtomicI64>,
    ) -> impl FnMut() -> futures::future::Ready<Result<Option<(i64, i64)>, Infallible>> {
        let version = version.clone();
        move || {
            let version = version.load(Ordering::Relaxed);
            futures::future::ready(Ok((version > 0).then_some((version, version))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_is_sent_as_it_is_and_after_each_change_and_ends_with_its_last_version() {
        let watches = Watches::<u8>::default();
        let version = Arc::new(AtomicI64::new(1));
        let mut rows = pin!(watches.stream(7, row(&version), |row| *row == 3, CancellationToken::new()));
        assert_eq!(rows.next().await, Some(Ok(1)));

        version.store(2, Ordering::Relaxed);
        watches.notify(&[7, 8]);
        assert_eq!(rows.next().await, Some(Ok(2)));

        watches.notify(&[7]);
        let silent = tokio::time::timeout(Duration::from_secs(5), rows.next()).await;
        assert!(silent.is_err(), "an unchanged version must not be sent again");

        version.store(3, Ordering::Relaxed);
        watches.notify(&[7]);
        assert_eq!(rows.next().await, Some(Ok(3)));
        assert_eq!(rows.next().await, None);
        drop(watches);
    }

    #[tokio::test(start_paused = true)]
    async fn another_replicas_commit_is_found_by_the_next_query() {
        let watches = Watches::<u8>::default();
        let version = Arc::new(AtomicI64::new(0));
        let stop = CancellationToken::new();
        let polling = tokio::spawn({
            let (watches, version, stop) = (watches.clone(), version.clone(), stop.clone());
            async move {
                let versions = |keys: Vec<u8>| {
                    let now = version.load(Ordering::Relaxed);
                    let found = keys.into_iter().filter(|_| now > 0).map(|key| (key, now)).collect();
                    futures::future::ready(Ok::<_, Infallible>(found))
                };
                watches.run(Duration::from_secs(1), versions, stop).await;
            }
        });
        let mut rows = pin!(watches.stream(7, row(&version), |_| false, stop.clone()));
        let silent = tokio::time::timeout(Duration::from_secs(5), rows.next()).await;
        assert!(silent.is_err(), "there is no such row yet");

        version.store(1, Ordering::Relaxed);
        assert_eq!(rows.next().await, Some(Ok(1)));
        version.store(2, Ordering::Relaxed);
        assert_eq!(rows.next().await, Some(Ok(2)));

        stop.cancel();
        assert_eq!(rows.next().await, None, "a stop ends the stream");
        polling.await.unwrap();
    }

    #[tokio::test]
    async fn a_row_that_nobody_watches_any_more_is_not_asked_for() {
        let watches = Watches::<u8>::default();
        let version = Arc::new(AtomicI64::new(1));
        let first = watches.stream(7, row(&version), |_| false, CancellationToken::new());
        let second = watches.stream(7, row(&version), |_| false, CancellationToken::new());
        drop(first);
        assert_eq!(watches.lock().len(), 1);
        drop(second);
        assert_eq!(watches.lock().len(), 0);
    }
}
