//! What strangers may take of a listener, and who makes room when it is full.

use std::time::Duration;

use kit::{
    config::from_pairs,
    serve::{Client, ListenerSettings, Server, client},
    testing::{Http2, SOON, eventually, reason, retry_after},
};
use proto::mailer::{ListMailsRequest, mailer_admin_client::MailerAdminClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use crate::{
    hostile::{EMPTY, ask, closed, get, silent},
    running::{Running, start_with},
};

const LIST: &str = "usher.mailer.v1.MailerAdmin/ListMails";

type Caller = MailerAdminClient<Client>;

/// Who has a connection of its own once it has called.
fn caller(running: &Running) -> Caller {
    MailerAdminClient::new(client(&format!("http://{}", running.addr)).unwrap())
}

/// A call by a connection of its own.
async fn call(running: &Running) -> Result<(), Status> {
    call_by(&mut caller(running)).await
}

async fn call_by(caller: &mut Caller) -> Result<(), Status> {
    caller.list_mails(ListMailsRequest::default()).await?;
    Ok(())
}

/// One that is connected already: what room there is for its next call is asked at once.
async fn connected(running: &Running) -> Caller {
    let mut caller = caller(running);
    call_by(&mut caller).await.unwrap();
    caller
}

/// A stream by a connection of its own; it has said what it has to say.
async fn watch(running: &Running) -> Result<Streaming<HealthCheckResponse>, Status> {
    let channel = client(&format!("http://{}", running.addr)).unwrap();
    let all = HealthCheckRequest::default();
    let mut watching = HealthClient::new(channel).watch(all).await?.into_inner();
    while watching
        .message()
        .await?
        .is_some_and(|said| said.status != 1)
    {} // SERVING
    Ok(watching)
}

/// Its state is told again every few seconds.
async fn goes_on(watching: &mut Streaming<HealthCheckResponse>) {
    let said = timeout(SOON, watching.message()).await;
    assert!(
        matches!(said, Ok(Ok(Some(_)))),
        "the stream is still open: {said:?}"
    );
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_a_word_are_closed_at_the_deadline() {
    let running = start_with(&[("USHER_PREFACE_DEADLINE", "100ms")]).await;
    for addr in [running.addr, running.admin_addr] {
        for word in ["", "PRI * HTTP", "G"] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(word.as_bytes()).await.unwrap();
            let took = closed(stream).await;
            assert!(took < Duration::from_secs(5), "{word:?}: {took:?}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_comes_octet_by_octet_is_cut_off() {
    let running = start_with(&[("USHER_PREFACE_DEADLINE", "200ms")]).await;
    let (mut read, mut write) = TcpStream::connect(running.admin_addr)
        .await
        .unwrap()
        .into_split();
    write
        .write_all(b"GET /livez HTTP/1.1\r\nhost: usher\r\n")
        .await
        .unwrap();
    let dripping = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while write.write_all(b"x: y\r\n").await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut answer = String::new();
    let _ = timeout(SOON, read.read_to_string(&mut answer))
        .await
        .expect("it is cut off");
    assert!(!answer.contains("200 OK"), "{answer}");
    dripping.abort();
    running.stop().await;
}

#[tokio::test]
async fn silent_connections_beyond_the_room_keep_nobody_out() {
    let limits = [
        ("USHER_CONNECTIONS", "20"),
        ("USHER_STREAMS", "10"),
        ("USHER_ADMIN_CONNECTIONS", "4"),
        ("USHER_PREFACE_DEADLINE", "1m"),
    ];
    let running = start_with(&limits).await;
    let _held = silent(running.addr, 100).await;
    let _held_too = silent(running.admin_addr, 100).await;
    call(&running).await.unwrap();
    assert_eq!(running.get("/livez").await.0, 200);
    assert_eq!(running.get("/readyz").await.0, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_newcomer_is_heard_where_all_others_are_idle_and_more_are_coming() {
    let running = start_with(&[("USHER_ADMIN_CONNECTIONS", "4")]).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let raw = Http2::connect(running.admin_addr, 65_535).await;
        ask(&raw, LIST, EMPTY, true).await.await.unwrap();
        idle.push(raw);
    }
    let mut newcomer = TcpStream::connect(running.admin_addr).await.unwrap();
    let _later = silent(running.admin_addr, 2).await;
    let probe = b"GET /livez HTTP/1.1\r\nhost: usher\r\nconnection: close\r\n\r\n";
    newcomer.write_all(probe).await.unwrap();
    let mut answer = String::new();
    let read = timeout(SOON, newcomer.read_to_string(&mut answer)).await;
    assert!(answer.contains("200 OK"), "{read:?}: {answer}");
    running.stop().await;
}

#[tokio::test]
async fn idle_connections_make_room_and_busy_ones_stay() {
    let limits = [("USHER_CONNECTIONS", "4"), ("USHER_STREAMS", "2")];
    let running = start_with(&limits).await;
    let mut watching = watch(&running).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..8 {
        let raw = Http2::connect(running.addr, 65_535).await;
        ask(&raw, LIST, EMPTY, true).await.await.unwrap();
        idle.push(raw);
    }
    let first = idle.remove(0);
    let ended = timeout(SOON, first.ended).await;
    assert!(ended.is_ok(), "the one that was idle for longest goes");
    goes_on(&mut watching).await;
    running.stop().await;
}

#[tokio::test]
async fn callers_that_take_no_answer_make_room_for_others() {
    // With a window of one octet the answer is begun, and the rest of it waits.
    for window in [0, 1] {
        let running = start_with(&[("USHER_CALLS", "8")]).await;
        let other = connected(&running).await;
        let raw = Http2::connect(running.addr, window).await;
        let mut asked = Vec::new();
        for _ in 0..8 {
            asked.push(ask(&raw, LIST, EMPTY, true).await.await.unwrap());
        }
        makes_room(&running, other, raw).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn i20_a_probe_that_finds_no_room_is_not_told_that_all_is_well() {
    let running = start_with(&[("USHER_CALLS", "2")]).await;
    let other = Http2::connect(running.admin_addr, 65_535).await;
    let raw = Http2::connect(running.admin_addr, 0).await;
    let mut untaken = Vec::new();
    for _ in 0..2 {
        untaken.push(get(&raw, "/readyz").await.await.unwrap());
    }
    let answer = get(&other, "/readyz").await.await.unwrap();
    assert_eq!(answer.status(), 503);
    running.stop().await;
}

#[tokio::test]
async fn callers_that_never_end_their_requests_make_room_for_others() {
    let running = start_with(&[("USHER_CALLS", "8")]).await;
    let other = connected(&running).await;
    let raw = Http2::connect(running.addr, 65_535).await;
    let mut asked = Vec::new();
    for _ in 0..8 {
        let half = EMPTY.slice(..3);
        asked.push(tokio::spawn(ask(&raw, LIST, half, false).await));
    }
    makes_room(&running, other, raw).await;
    running.stop().await;
}

/// For a second a slow caller is just far away, and others are told to come again; then it has to
/// go.
async fn makes_room(running: &Running, mut other: Caller, raw: Http2) {
    let refused = call_by(&mut other).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(reason(&refused), "TRY_LATER");
    assert!(retry_after(&refused) <= Duration::from_secs(5));
    eventually("room for a call", SOON, async || call(running).await.ok()).await;
    let ended = timeout(SOON, raw.ended).await;
    assert!(ended.is_ok(), "its connection was closed");
    // The room is whole again.
    for _ in 0..16 {
        call(running).await.unwrap();
    }
}

#[tokio::test]
async fn streams_beyond_the_room_are_told_to_come_again_and_find_room_when_one_has_ended() {
    let running = start_with(&[("USHER_STREAMS", "2")]).await;
    let first = watch(&running).await.unwrap();
    let _second = watch(&running).await.unwrap();
    let refused = watch(&running).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(reason(&refused), "TRY_LATER");
    assert!(retry_after(&refused) > Duration::ZERO);
    call(&running).await.expect("calls have room of their own");
    drop(first);
    eventually("room for a stream", SOON, async || {
        watch(&running).await.ok()
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed_and_one_with_a_stream_is_not() {
    let running = start_with(&[("USHER_CONNECTION_IDLE", "200ms")]).await;
    let mut watching = watch(&running).await.unwrap();
    let begun = Instant::now();
    let raw = Http2::connect(running.addr, 65_535).await;
    let Http2 { requests, ended } = raw;
    let ended = timeout(SOON, ended).await.unwrap().unwrap();
    assert!(ended.is_ok(), "it is sent away in order: {ended:?}");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    goes_on(&mut watching).await;
    drop(requests);
    running.stop().await;
}

#[tokio::test]
async fn a_burst_of_calls_on_one_connection_is_answered() {
    let running = start_with(&[]).await;
    let caller = caller(&running);
    let calls = (0..2_000).map(|_| {
        let mut caller = caller.clone();
        async move { caller.list_mails(ListMailsRequest::default()).await }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn a_call_that_meets_the_end_of_an_old_connection_is_answered_or_was_not_begun() {
    let running = start_with(&[("USHER_CONNECTION_AGE", "50ms")]).await;
    let (mut connections, mut answered) = (0, 0);
    while connections < 20 {
        let raw = Http2::connect(running.addr, 65_535).await;
        connections += 1;
        // Until it is told that the connection takes no more.
        while raw.is_ready().await {
            match ask(&raw, LIST, EMPTY, true).await.await {
                Ok(_) => answered += 1,
                // RFC 9113 §6.8: nothing was done of what came after the last stream that GOAWAY
                // names, and it may be asked again.
                Err(error) => {
                    assert!(error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR));
                }
            }
        }
    }
    assert!(answered > 40, "{answered}");
    running.stop().await;
}

#[tokio::test]
async fn an_old_connection_is_closed_after_its_grace_whatever_is_left_on_it() {
    let limits = [
        ("USHER_CONNECTION_AGE", "100ms"),
        ("USHER_CONNECTION_GRACE", "200ms"),
    ];
    let running = start_with(&limits).await;
    let raw = Http2::connect(running.addr, 0).await;
    let _never_taken = ask(&raw, LIST, EMPTY, true).await.await.unwrap();
    let ended = timeout(SOON, raw.ended).await;
    assert!(ended.is_ok(), "it is closed");
    running.stop().await;
}

#[tokio::test]
async fn heads_beyond_16_kib_and_compressed_requests_are_refused() {
    let running = start_with(&[]).await;
    let raw = Http2::connect(running.addr, 65_535).await;
    let request = |name: &str, value: String| {
        http::Request::post(format!("http://usher/{LIST}"))
            .header("content-type", "application/grpc")
            .header(name, value)
            .body(())
            .unwrap()
    };
    let mut ready = raw.requests.clone().ready().await.unwrap();
    let long = request("x-long", "a".repeat(20_000));
    let (answer, _) = ready.send_request(long, true).unwrap();
    let refused = answer.await.map(|answer| answer.status().as_u16());
    assert!(
        matches!(refused, Err(_) | Ok(431)),
        "a long head is not read: {refused:?}"
    );

    let raw = Http2::connect(running.addr, 65_535).await;
    let packed = request("grpc-encoding", "gzip".to_owned());
    let mut ready = raw.requests.clone().ready().await.unwrap();
    let (answer, mut body) = ready.send_request(packed, false).unwrap();
    // Compressed, says its first octet.
    body.send_data(bytes::Bytes::from_static(&[1, 0, 0, 0, 1, 0]), true)
        .unwrap();
    let refused = Status::from_header_map(answer.await.unwrap().headers()).unwrap();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
    ask(&raw, LIST, EMPTY, true).await.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_with_what_would() {
    let refusal = async |limits: &[(&str, &str)]| {
        let any = "127.0.0.1:0".parse().unwrap();
        let limits = from_pairs::<ListenerSettings>(limits).unwrap();
        Server::bind(any, any, &limits)
            .await
            .unwrap_err()
            .to_string()
    };
    let too_many = refusal(&[("USHER_CONNECTIONS", "1000000000")]).await;
    assert!(
        too_many.starts_with("USHER_CONNECTIONS: 1000000000 connections"),
        "{too_many}"
    );
    assert!(too_many.contains("ulimit -n"), "{too_many}");
    let any = "127.0.0.1:0".parse().unwrap();
    let few = from_pairs::<ListenerSettings>(&[("USHER_CONNECTIONS", "100")]).unwrap();
    let few = Server::bind(any, any, &few).await;
    few.expect("streams at their default are fewer where connections are");
    let none = from_pairs::<ListenerSettings>(&[("USHER_CALLS", "0")]).unwrap_err();
    assert!(none.to_string().contains("USHER_CALLS"), "{none}");
}
