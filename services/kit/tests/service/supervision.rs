//! A worker that ends before its time is told of and ends the service.

use std::time::{Duration, Instant};

use crate::serve::start;

async fn ends_with(work: impl Future<Output = ()> + Send + 'static) {
    let running = start().await;
    assert_eq!(running.get("/readyz").await.0, 200);
    let begun = Instant::now();
    running.stages.work("relay", &running.stages.finish, work);
    let end = running.task.await.unwrap().unwrap_err().to_string();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert!(end.contains("`relay`"), "{end}");
}

#[tokio::test]
async fn a_worker_that_panics_ends_the_service_within_a_second() {
    ends_with(async { panic!("no period is zero") }).await;
}

#[tokio::test]
async fn a_worker_that_returns_before_its_time_ends_the_service_within_a_second() {
    ends_with(async {}).await;
}

#[tokio::test]
async fn i20_until_the_process_has_gone_readiness_says_which_worker_ended() {
    let running = start().await;
    // Another one that takes its time: the service waits for it, for a moment.
    let finish = running.stages.finish.clone();
    running
        .stages
        .work("consumer", &finish, std::future::pending());
    assert_eq!(running.get("/readyz").await.0, 200);
    running.stages.work("relay", &finish, async {});
    let (code, body) = running.get("/readyz").await;
    assert_eq!(code, 503, "{body}");
    assert!(body.contains("the worker `relay` has ended"), "{body}");
    running.task.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_worker_that_ends_when_it_is_asked_to_is_no_news() {
    let running = start().await;
    let stop = running.stages.stop.clone();
    let work = stop.clone();
    running
        .stages
        .work("consumer", &stop, async move { work.cancelled().await });
    running.stop().await;
}
