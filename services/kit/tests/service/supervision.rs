//! A worker that ends before its time is told of and ends the service.

use std::time::{Duration, Instant};

use kit::{
    serve::beat,
    testing::{Http2, eventually},
};

use crate::{hostile::get, running::start};

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
    // Connected before: that moment is for the answer.
    let probe = Http2::connect(running.admin_addr, 65_535).await;
    let ready = get(&probe, "/readyz").await.await.unwrap();
    assert_eq!(ready.status(), 200);
    running.stages.work("relay", &finish, async {});
    let answer = get(&probe, "/readyz").await.await.unwrap();
    assert_eq!(answer.status(), 503);
    let body = answer.into_body().data().await.unwrap().unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("the worker `relay` has ended"), "{body}");
    running.task.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn i20_a_worker_that_stands_still_is_not_ready_within_30_s_and_one_that_goes_on_is() {
    let running = start().await;
    let stop = running.stages.stop.clone();
    running.stages.work("relay", &stop, async {
        beat();
        std::future::pending::<()>().await;
    });
    running
        .stages
        .work("watches", &stop, std::future::pending()); // it has nothing to do yet
    let goes_on = async || {
        loop {
            beat();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    running.stages.work("consumer", &stop, goes_on());
    let body = eventually(
        "readiness to tell of it",
        Duration::from_secs(30),
        async || {
            let (code, body) = running.get("/readyz").await;
            (code == 503).then_some(body)
        },
    )
    .await;
    assert!(body.contains("the worker `relay` stands still"), "{body}");
    assert!(body.contains("Restart the service"), "{body}");
    assert_eq!(running.get("/livez").await.0, 200);
    running.task.abort();
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
