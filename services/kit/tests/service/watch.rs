//! Watching rows: each version once, one's own commits at once, another replica's by the next
//! query.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;

use kit::watch::Watches;
use tokio_util::sync::CancellationToken;

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
    let mut rows =
        pin!(watches.stream(7, row(&version), |row| *row == 3, CancellationToken::new()));
    assert_eq!(rows.next().await, Some(Ok(1)));

    version.store(2, Ordering::Relaxed);
    watches.notify(&[7, 8]);
    assert_eq!(rows.next().await, Some(Ok(2)));

    watches.notify(&[7]);
    let silent = tokio::time::timeout(Duration::from_secs(5), rows.next()).await;
    assert!(
        silent.is_err(),
        "an unchanged version must not be sent again"
    );

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
                let found = keys
                    .into_iter()
                    .filter(|_| now > 0)
                    .map(|key| (key, now))
                    .collect();
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
    assert_eq!(watches.len(), 1);
    drop(second);
    assert_eq!(watches.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_reads_a_row_itself_is_woken_by_each_change_since_it_began_to_watch() {
    let watches = Watches::<u8>::default();
    let mut changes = watches.subscribe(7);
    watches.notify(&[7]); // while it reads
    changes.next().await;
    let silent = tokio::time::timeout(Duration::from_secs(5), changes.next()).await;
    assert!(silent.is_err(), "each change wakes once");
    watches.notify(&[8]);
    let silent = tokio::time::timeout(Duration::from_secs(5), changes.next()).await;
    assert!(silent.is_err(), "another row's change");
    watches.notify(&[7]);
    changes.next().await;
    drop(changes);
    assert!(watches.is_empty());
}
