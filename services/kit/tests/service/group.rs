//! Group commit: what comes while a commit runs is written together by the next.

use std::sync::Arc;

use kit::group::{Group, Refused};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Each commit's size, and what lets it go on.
type Commits = mpsc::UnboundedReceiver<(usize, oneshot::Sender<()>)>;

/// A group whose every commit announces its size and waits until it may go on.
fn stepwise(queue: usize, batch: usize) -> (Group<u32, u32>, Commits) {
    let (begun, commits) = mpsc::unbounded_channel();
    let group = Group::spawn(queue, batch, move |commands: Vec<u32>| {
        let begun = begun.clone();
        async move {
            let (go, wait) = oneshot::channel();
            begun.send((commands.len(), go)).unwrap();
            wait.await.unwrap();
            commands.into_iter().map(|number| number * 10).collect()
        }
    });
    (group, commits)
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
    let group = Group::spawn(10, 10, {
        let written = Arc::clone(&written);
        move |commands: Vec<u32>| {
            let written = Arc::clone(&written);
            async move {
                written.lock().await.extend(commands.iter().copied());
                commands
            }
        }
    });
    let mut gone = Box::pin(group.submit(1));
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!(group.submit(2).await, Ok(2));
    assert_eq!(*written.lock().await, [1, 2]);
}

#[tokio::test]
async fn a_commit_that_panics_or_hangs_costs_its_own_callers_their_answers_and_nobody_else() {
    tokio::time::pause();
    let group: Group<u32, u32> = Group::spawn(10, 1, |commands: Vec<u32>| async move {
        match commands[0] {
            1 => panic!("as asked"),
            2 => std::future::pending().await,
            _ => commands,
        }
    });
    assert_eq!(group.submit(1).await, Err(Refused::Lost));
    assert_eq!(group.submit(2).await, Err(Refused::Lost));
    assert_eq!(group.submit(3).await, Ok(3));
}
