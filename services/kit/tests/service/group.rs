//! Group commit: what comes while a commit runs is written together by the next.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::FutureExt as _;
use kit::{
    db::StoreError,
    group::{Batch, Group, Refused, together},
};
use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Each commit's size, and what lets it go on.
type Commits = mpsc::UnboundedReceiver<(usize, oneshot::Sender<()>)>;

/// A group whose every commit announces its size and waits until it may go on.
fn stepwise(queue: usize, batch: usize) -> (Group<u32, u32>, Commits) {
    let (begun, commits) = mpsc::unbounded_channel();
    let commit = move |commands: Batch<u32>| {
        let begun = begun.clone();
        async move {
            let (go, wait) = oneshot::channel();
            begun.send((commands.len(), go)).unwrap();
            wait.await.unwrap();
            Ok(commands.iter().map(|number| number * 10).collect())
        }
    };
    (Group::start(queue, batch, commit, |_| 0), commits)
}

#[tokio::test]
async fn a_lone_command_commits_at_once_and_those_behind_it_together() {
    let (group, mut commits) = stepwise(100, 100);
    let submit = |number| {
        tokio::spawn({
            let group = group.clone();
            async move { group.submit(number).await }
        })
    };
    let first = submit(1);
    let (size, go) = commits.recv().await.unwrap();
    assert_eq!(size, 1);
    let others: Vec<_> = (2..=50).map(submit).collect();
    tokio::task::yield_now().await; // on this one thread the others now stand in the queue
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(10));
    let (size, go) = commits.recv().await.unwrap();
    assert_eq!(size, 49);
    go.send(()).unwrap();
    for (number, other) in (2..).zip(others) {
        assert_eq!(
            other.await.unwrap(),
            Ok(number * 10),
            "each caller gets its own result"
        );
    }
}

#[tokio::test]
async fn i19_a_full_queue_refuses_at_once_instead_of_growing() {
    let (group, mut commits) = stepwise(2, 1);
    let submit = |number| {
        tokio::spawn({
            let group = group.clone();
            async move { group.submit(number).await }
        })
    };
    let begun = submit(1);
    let (_, go) = commits.recv().await.unwrap();
    let waiting = [submit(2), submit(3)];
    tokio::task::yield_now().await;
    assert_eq!(group.submit(4).await, Err(Refused::Full));
    go.send(()).unwrap();
    assert_eq!(begun.await.unwrap(), Ok(10));
    for waiting in waiting {
        commits.recv().await.unwrap().1.send(()).unwrap();
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_command() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let commit = {
        let written = Arc::clone(&written);
        move |commands: Batch<u32>| {
            let written = Arc::clone(&written);
            async move {
                written.lock().await.extend(commands.iter().copied());
                Ok(commands.to_vec())
            }
        }
    };
    let group = Group::start(10, 10, commit, |_| 0);
    let mut gone = Box::pin(group.submit(1));
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!(group.submit(2).await, Ok(2));
    assert_eq!(*written.lock().await, [1, 2]);
}

#[tokio::test]
async fn a_commit_that_panics_costs_its_own_callers_their_answers_and_nobody_else() {
    let commit = |commands: Batch<u32>| async move {
        assert!(commands[0] != 1, "as asked");
        Ok(commands.to_vec())
    };
    let group = Group::start(10, 1, commit, |_| 0);
    assert_eq!(group.submit(1).await, Err(Refused::Lost));
    assert_eq!(group.submit(2).await, Ok(2));
}

/// Commits batches of numbers that hold no 13, as a database that refuses it would; with an odd
/// number in it, the database is away. Answers with what was given and how often a commit was
/// tried.
async fn tried(numbers: &[u32]) -> (Vec<&'static str>, usize) {
    let tries = AtomicUsize::new(0);
    let commit = async |batch: Batch<u32>| {
        tries.fetch_add(1, Ordering::SeqCst);
        if batch.contains(&13) {
            return Err(DbErr::Custom("no 13".to_owned()));
        }
        if batch.contains(&1) {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
        }
        Ok(batch.iter().map(|_| "written").collect())
    };
    let failed = |error: &StoreError| match error {
        StoreError::Unavailable(_) => "away",
        StoreError::Unexpected(_) => "refused",
    };
    let answers = together(Batch::from(numbers.to_vec()), commit, failed).await;
    (answers, tries.into_inner())
}

#[tokio::test]
async fn a_batch_is_committed_together_and_one_by_one_only_when_its_data_is_at_fault() {
    assert_eq!(tried(&[2, 4, 6]).await, (vec!["written"; 3], 1));
    let alone = vec!["written", "refused", "written"];
    assert_eq!(tried(&[2, 13, 6]).await, (alone, 4));
    assert_eq!(tried(&[13]).await, (vec!["refused"], 1));
}

#[tokio::test]
async fn a_database_that_is_away_is_away_for_all_and_tried_once() {
    assert_eq!(tried(&[2, 1, 6]).await, (vec!["away"; 3], 1));
    // It goes away while each goes alone: nobody waits for it again.
    let rest = vec!["refused", "written", "away", "away"];
    assert_eq!(tried(&[13, 2, 1, 6]).await, (rest, 4));
}

#[tokio::test]
async fn i19_who_may_wait_for_a_turn_is_written_where_others_are_refused() {
    let (group, mut commits) = stepwise(1, 1);
    let submit = |number| {
        tokio::spawn({
            let group = group.clone();
            async move { group.submit(number).await }
        })
    };
    let first = submit(1);
    let (_, go) = commits.recv().await.unwrap();
    let second = submit(2);
    let waits = tokio::spawn({
        let group = group.clone();
        async move { group.submit_in_turn(3).await }
    });
    let goes_away = tokio::spawn({
        let group = group.clone();
        async move { group.submit_in_turn(4).await }
    });
    tokio::task::yield_now().await; // on this one thread the second stands in the queue, others wait
    assert_eq!(group.submit(5).await, Err(Refused::Full));
    goes_away.abort();
    assert!(goes_away.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    for (result, task) in [(20, second), (30, waits)] {
        let (_, go) = commits.recv().await.unwrap();
        go.send(()).unwrap();
        assert_eq!(task.await.unwrap(), Ok(result));
    }
    assert_eq!(first.await.unwrap(), Ok(10));
    assert_eq!(group.clone().submit_in_turn(6).now_or_never(), None);
    let (_, go) = commits.recv().await.unwrap();
    go.send(()).unwrap();
    drop(group);
    assert!(
        commits.recv().await.is_none(),
        "who went away left nothing behind"
    );
}
