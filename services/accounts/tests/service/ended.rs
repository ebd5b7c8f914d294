//! Streams of sign-ups that end before their callers say so: because these keep the service waiting
//! or vanish, or because it stops.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use kit::testing::{SOON, eventually};
use tonic::Code;

use crate::{
    batch::{Batch, Results, all, item, numbered},
    client::{reason, shown, sign_up},
    raw::Raw,
    world::{UNPUBLISHED, World},
};

fn created(results: &Results) -> usize {
    let answers = results.values().flatten();
    answers.filter(|answer| answer.is_ok()).count()
}

#[tokio::test]
async fn a_caller_that_sends_nothing_and_does_not_end_is_told_so_after_all_its_results() {
    let world = World::new().await;
    let silent = [("USHER_BATCH_SILENT", "1s")];
    let service = world.start_with(&silent).await;
    let mut batch = Batch::open(&service.client()).await;
    for number in 0..3 {
        assert!(batch.send(numbered(number)).await);
    }
    let (results, end) = batch.results().await;
    assert_eq!(created(&results), 3);
    assert_snapshot!(shown(&end.unwrap_err()), @r"
    DeadlineExceeded: Nothing was sent for 1s. Every item that was sent has its result. Open a new stream for further ones; end your side of it after the last.
      reason STREAM_SILENT of usher
    ");
    let never_said_a_word = Batch::open(&service.client()).await.results().await;
    assert_eq!(reason(&never_said_a_word.1.unwrap_err()), "STREAM_SILENT");
}

#[tokio::test]
async fn a_caller_whose_items_take_longer_than_it_may_be_silent_is_waited_for() {
    let world = World::new().await;
    let impatient = [
        ("USHER_BATCH_SILENT", "500ms"),
        ("USHER_BATCH_UNTAKEN", "500ms"),
    ];
    let service = world.start_with(&impatient).await;
    let client = service.client();
    client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let mut batch = Batch::open(&client).await;
    assert!(batch.send(numbered(1)).await);
    // Long after both: a stream that was opened later, and said nothing, has ended.
    let later = Batch::open(&client).await.results().await;
    assert_eq!(reason(&later.1.unwrap_err()), "STREAM_SILENT");
    lock.rollback().await.unwrap();
    let (results, end) = batch.results().await;
    assert_eq!(created(&results), 1);
    assert_eq!(reason(&end.unwrap_err()), "STREAM_SILENT");
}

#[tokio::test]
async fn the_streams_own_deadline_ends_it_after_the_results_of_what_was_read() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    // Warm, so that an item is stored in time.
    client.create(sign_up("first@example.org")).await.unwrap();
    let opened = Batch::try_open(&client, |request| {
        let timeout = "2S".parse().unwrap();
        request.metadata_mut().insert("grpc-timeout", timeout);
    });
    let mut batch = opened.await.unwrap();
    assert!(batch.send(numbered(1)).await);
    let (results, end) = batch.results().await;
    assert_eq!(created(&results), 1);
    assert_snapshot!(shown(&end.unwrap_err()), @r"
    DeadlineExceeded: The stream's deadline is over. Items without a result were not stored: send them again on a new stream.
      reason DEADLINE of usher
    ");
}

#[tokio::test]
async fn an_old_connection_ends_its_streams_after_their_results_and_says_what_to_do() {
    let world = World::new().await;
    let service = world.start_with(&[("USHER_CONNECTION_AGE", "300ms")]).await;
    let mut batch = Batch::open(&service.client()).await;
    let sender = batch.sender();
    let sending = tokio::spawn(async move {
        for number in 0.. {
            if sender.send(numbered(number)).await.is_err() {
                return;
            }
        }
    });
    let (results, end) = batch.results().await;
    assert_snapshot!(shown(&end.unwrap_err()), @r"
    Unavailable: The connection has grown old, or the service is shutting down. Items without a result were not stored: send them again on a new stream.
      reason UNAVAILABLE of usher
      retry after 1s
    ");
    let stored = world.count("accounts").await;
    assert_eq!(
        (created(&results) as i64, results.len() as i64),
        (stored, stored)
    );
    assert!(stored > 0);
    batch.end();
    sending.await.unwrap();
}

#[tokio::test]
async fn i19_a_caller_that_takes_no_results_is_read_no_further_told_why_and_loses_nothing() {
    let world = World::new().await;
    let impatient = [("USHER_BATCH_UNTAKEN", "200ms")];
    let service = world.start_with(&impatient).await;
    let mut raw = Raw::connect(service.addr(), 1_024).await;
    let (mut answer, sending) = raw.create_accounts((0..5_000).map(numbered)).await;
    // Told to ask nothing more by this connection: the stream is over.
    eventually("the connection to be sent away", SOON, async || {
        (!raw.is_ready().await).then_some(())
    })
    .await;
    let stored = world.count("accounts").await;
    // A window of ours, one of HTTP/2's and a buffer of gRPC's.
    assert!(stored < 500, "{stored} accounts whose results nobody took");
    let (results, status) = answer.rest().await;
    assert_snapshot!(shown(&status), @r"
    DeadlineExceeded: No result was taken for 200ms: take them while you send. What was stored stays, and is answered again to the same idempotency key.
      reason RESULTS_NOT_TAKEN of usher
    ");
    assert_eq!(results.len() as i64, stored, "what waits is not lost");
    sending.abort();
    // What was stored is answered again, and the rest is stored.
    let again = all(&service.client(), (0..5_000).map(numbered)).await;
    assert_eq!(created(&again), 5_000);
    assert_eq!(world.accounts_events_keys().await, [5_000; 3]);
}

#[tokio::test]
async fn i19_a_caller_that_never_takes_anything_gives_its_place_back() {
    let world = World::new().await;
    let few = [
        ("USHER_STREAMS", "1"),
        ("USHER_BATCH_UNTAKEN", "200ms"),
        ("USHER_CONNECTION_GRACE", "200ms"),
    ];
    let service = world.start_with(&few).await;
    let mut raw = Raw::connect(service.addr(), 0).await;
    let (_untaken, sending) = raw.create_accounts((0..).map(numbered)).await;
    let client = service.client();
    let opened = eventually("room for a stream", SOON, async || {
        Batch::try_open(&client, |_| ()).await.ok()
    });
    let mut batch = opened.await;
    batch.end();
    let (_, end) = batch.results().await;
    end.unwrap();
    sending.abort();
}

#[tokio::test]
async fn what_is_no_item_ends_the_stream_after_the_results_of_those_before_it() {
    let world = World::new().await;
    let service = world.start().await;
    let mut raw = Raw::connect(service.addr(), 65_535).await;
    let mut answer = raw.create_accounts_then(numbered(1), b"\xff\xff\xff").await;
    let (results, status) = answer.rest().await;
    assert_eq!((results.len(), status.code()), (1, Code::Internal));
    assert!(
        status.message().contains("decode"),
        "it says what was wrong: {status:?}"
    );
    assert_eq!(world.count("accounts").await, 1);
}

#[tokio::test]
async fn i01_what_was_read_of_a_caller_that_vanishes_is_stored_and_found_under_the_same_keys() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let first = client.create(sign_up("first@example.org")).await.unwrap();
    let lock = world.lock().await;
    let batch = Batch::open(&client).await;
    for number in 0..100 {
        assert!(batch.send(numbered(number)).await);
    }
    // Behind them on the same connection.
    client.get(&first.account_id).await.unwrap();
    drop((batch, client));
    lock.rollback().await.unwrap();
    eventually("what was read", SOON, async || {
        (world.count("accounts").await > 1).then_some(())
    })
    .await;
    let again = all(&service.client(), (0..100).map(numbered)).await;
    assert_eq!(created(&again), 100);
    assert_eq!(world.accounts_events_keys().await, [101, 101, 100]);
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_a_stop_in_the_middle_of_streams_answers_what_was_read_and_loses_nothing() {
    let world = World::new().await;
    let process = world.process(&[]).await;
    let mut streams = Vec::new();
    for caller in 0..4 {
        let client = process.client();
        streams.push(tokio::spawn(async move {
            let mut batch = Batch::open(&client).await;
            let sender = batch.sender();
            batch.end();
            let sending = tokio::spawn(async move {
                for number in 0.. {
                    if sender.send(numbered(number * 4 + caller)).await.is_err() {
                        return;
                    }
                }
            });
            let (results, end) = batch.results().await;
            drop(batch);
            sending.await.unwrap();
            (results, end)
        }));
    }
    eventually("some accounts", SOON, async || {
        (world.count("accounts").await > 500).then_some(())
    })
    .await;
    let asked = Instant::now();
    process.terminate().await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    let mut answered = 0;
    for stream in streams {
        let (results, end) = stream.await.unwrap();
        let end = end.unwrap_err();
        assert_eq!(
            (end.code(), reason(&end)),
            (Code::Unavailable, "UNAVAILABLE".to_owned()),
            "{end:?}"
        );
        assert_eq!(created(&results), results.len());
        answered += results.len();
    }
    assert_eq!(world.count("accounts").await, answered as i64);
    let without_event = "accounts WHERE id NOT IN (SELECT aggregate_id FROM outbox)";
    assert_eq!(world.count(without_event).await, 0);
    let _next = world.process(&[]).await;
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i01_after_kill_nine_every_result_that_was_heard_is_an_account_and_the_rest_can_be_asked_again()
 {
    let world = World::new().await;
    let process = world.process(&[]).await;
    let client = process.client();
    let load = tokio::spawn(async move {
        let mut batch = Batch::open(&client).await;
        let sender = batch.sender();
        batch.end();
        tokio::spawn(async move {
            for number in 0..20_000 {
                if sender.send(numbered(number)).await.is_err() {
                    return;
                }
            }
        });
        batch.results().await
    });
    eventually("some accounts", SOON, async || {
        (world.count("accounts").await > 500).then_some(())
    })
    .await;
    process.kill().await;
    let (heard, end) = load.await.unwrap();
    end.unwrap_err();
    let process = world.process(&[]).await;
    let again = all(&process.client(), (0..20_000).map(numbered)).await;
    assert_eq!(created(&again), 20_000);
    for (name, answers) in &heard {
        let before = answers[0].as_ref().unwrap();
        assert_eq!(again[name][0].as_ref().unwrap(), before);
    }
    assert_eq!(world.count("accounts").await, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_no_log_line_holds_an_address_a_key_or_the_name_of_an_item() {
    let world = World::new().await;
    let process = world
        .process(&[("RUST_LOG", "debug"), ("USHER_BATCH_SILENT", "200ms")])
        .await;
    let client = process.client();
    let canary = "canary.address@example.org";
    let mut items = vec![
        item(canary, sign_up(canary)),
        item("canary-taken", sign_up(canary)),
        item("canary-broken", sign_up("canary address@example.org")),
        item(&"canary-long".repeat(7), sign_up("bob@example.org")),
    ];
    items[0].idempotency_key = "canary-idempotency-key".to_owned();
    let results = all(&client, items).await;
    assert_eq!(created(&results), 1);
    for refused in results
        .values()
        .flatten()
        .filter_map(|it| it.as_ref().err())
    {
        assert!(!shown(refused).contains("canary"), "{refused:?}");
    }
    world
        .execute("ALTER TABLE outbox RENAME TO elsewhere")
        .await;
    let broken = item("canary-unexpected", sign_up("canary.third@example.org"));
    let results = all(&client, [broken]).await;
    let refused = results["canary-unexpected"][0].as_ref().unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    let silent = Batch::open(&client).await.results().await;
    silent.1.unwrap_err();
    let said = process.terminate().await;
    assert!(said.contains("The database refused a command."), "{said}");
    let canary = said.lines().find(|line| line.contains("canary"));
    assert_eq!(canary, None);
}
