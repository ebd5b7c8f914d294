//! `usher trace show`: a journey as Jaeger has it, read from what a real one answered.

use std::process::Output;

use kit::testing::SOON;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    http::{NO_TRACES, Web},
    world::{refusal, usher},
};

/// The trace of a sign-up, as Jaeger 1.76's API v3 answered it.
const RECORDED: &str = include_str!("trace/jaeger.json");
const TRACE: &str = "c193e7043e18574dbe3461c368e38020";
const ACCOUNT: &str = "01a21a3b-07a3-7273-9a90-359f6a8ab3f2";

async fn show(what: &str, jaeger: &str, more: &[&str]) -> Output {
    let mut command = usher();
    command
        .args(["trace", "show", what, "--wait", "1ms"])
        .args(more)
        .env("USHER_JAEGER_URL", jaeger);
    let output = spawn_blocking(move || command.output().expect("usher can be run"));
    output.await.unwrap()
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn refused(what: &str, jaeger: &str) -> (i32, String) {
    let (code, error) = refusal(&show(what, jaeger, &["--output", "json"]).await);
    let hint = error["hint"].as_str().unwrap_or_default();
    (
        code,
        format!("{} {hint}", error["message"].as_str().unwrap()),
    )
}

/// A Jaeger that has one trace, whoever asks for it how.
async fn recorded() -> Web {
    Web::start(|path| match path {
        path if path.ends_with(TRACE) => (200, RECORDED.into()),
        path if path.contains("?query.service_name=accounts&") => (200, RECORDED.into()),
        _ => (404, NO_TRACES.to_vec()),
    })
    .await
}

/// The same without the spans of a service.
async fn without(service: &'static str) -> Web {
    let mut answer: Value = serde_json::from_str(RECORDED).unwrap();
    let processes = answer["result"]["resourceSpans"].as_array_mut().unwrap();
    processes.retain(|process| {
        let name = json!({ "key": "service.name", "value": { "stringValue": service } });
        let attributes = process["resource"]["attributes"].as_array().unwrap();
        !attributes.contains(&name)
    });
    Web::start(move |_| (200, answer.to_string().into_bytes())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_jaeger_has_is_drawn_whole() {
    let jaeger = recorded().await;
    let url = jaeger.url();
    let picture = said(&show(TRACE, &url, &[]).await);
    insta::assert_snapshot!(picture.replace(&url, "http://jaeger"), @r"
    trace c193e7043e18574dbe3461c368e38020: 10 spans from 4 processes
                                                  0                   48 ms
    usher        usher account                    ━━━━━                        10 ms
    usher        └╴CreateAccount                  ╺━━━━                       8.7 ms
    accounts       └╴CreateAccount                 ╺━╸                        3.4 ms
    accounts         └╴create account_created       ╺                         129 µs
    accounts           ├╴publish account_created     ━━                       3.9 ms
    verification       └╴process account_created      ━━╸                     4.8 ms
    verification         ├╴store verifications        ━━╸                     4.6 ms
    verification         └╴deliver                      ╺━━━━━━━━━━━━━━━━━━    35 ms
    mailer                 └╴deliver                     ━━━━━━━━━━━━━━━━━╸    34 ms
    mailer                   └╴file write                  ━━━━━━━             13 ms

    http://jaeger/trace/c193e7043e18574dbe3461c368e38020
    ");

    let upper = said(&show(&TRACE.to_uppercase(), &format!("{url}/"), &[]).await);
    assert_eq!(upper, picture);
    assert_eq!(said(&show(TRACE, &url, &["--quiet"]).await).trim(), TRACE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_sign_up_is_found_by_the_moment_in_its_id() {
    let jaeger = recorded().await;
    let shown = show(ACCOUNT, &jaeger.url(), &["--output", "json"]).await;
    let shown: Value = serde_json::from_str(&said(&shown)).expect("it answers in JSON");
    assert_eq!(shown["trace_id"], TRACE);
    assert_eq!(shown["page"], format!("{}/trace/{TRACE}", jaeger.url()));
    assert_eq!(shown["missing"], json!([]));
    let spans = shown["spans"].as_array().unwrap();
    let create = spans
        .iter()
        .find(|span| span["kind"] == "producer")
        .unwrap();
    assert_eq!(create["name"], "create accounts.v1.account_created");
    assert_eq!(create["service"], "accounts");
    let cause = spans
        .iter()
        .find(|span| span["span_id"] == create["parent_span_id"]);
    assert_eq!(cause.unwrap()["kind"], "server");
    assert!(create["duration_microseconds"].as_u64().unwrap() > 0);

    // Of the same moment, and somebody else's.
    let other = ACCOUNT.replace("9a90", "9a91");
    let (code, told) = refused(&other, &jaeger.url()).await;
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains(&format!("has no sign-up of account {other}")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_in_a_trace_is_said_beside_it() {
    for (service, lacks) in [
        (
            "mailer",
            "Not here yet, or never sent: mailer: deliver; mailer: smtp send.",
        ),
        (
            "verification",
            "never sent: verification: process account_created; verification: deliver",
        ),
        ("usher", "The span that caused the first one is not here"),
    ] {
        let jaeger = without(service).await;
        let picture = said(&show(TRACE, &jaeger.url(), &[]).await);
        assert!(picture.contains(lacks), "{picture}");
        assert!(
            picture.contains("create account_created"),
            "what is there is shown: {picture}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_that_come_late_are_waited_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let jaeger =
        Web::start(
            move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => (404, NO_TRACES.to_vec()),
                _ => (200, RECORDED.into()),
            },
        )
        .await;
    let mut command = usher();
    command.args([
        "trace",
        "show",
        TRACE,
        "--wait",
        "30s",
        "--jaeger-url",
        &jaeger.url(),
    ]);
    let output = spawn_blocking(move || command.output().expect("usher can be run"));
    assert!(said(&output.await.unwrap()).contains("file write"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jaeger_that_does_not_answer_yet_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = usher();
    command.args(["trace", "show", TRACE, "--wait", "30s"]);
    command.args(["--jaeger-url", &url]);
    let output = spawn_blocking(move || command.output().expect("usher can be run"));
    let asked = async || timeout(SOON, listener.accept()).await.expect("it asks");
    // Whoever asks first hears nothing.
    drop(asked().await.unwrap());
    let (mut asking, _) = asked().await.unwrap();
    // An answer that comes before its question is none.
    let mut question = [0; 1_024];
    assert_ne!(asking.read(&mut question).await.unwrap(), 0);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        RECORDED.len()
    );
    asking.write_all(head.as_bytes()).await.unwrap();
    asking.write_all(RECORDED.as_bytes()).await.unwrap();
    assert!(said(&output.await.unwrap()).contains("file write"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_of_a_jaeger_says_where_to_look() {
    let jaeger = recorded().await;
    let (code, told) = refused(&TRACE.replace('c', "d"), &jaeger.url()).await;
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("sampled away") && told.contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{told}"
    );

    // The port of OTLP, and a page of another program.
    for (code, body) in [(404, "404 page not found"), (200, "<html>")] {
        let other = Web::start(move |_| (code, body.into())).await;
        let (code, told) = refused(TRACE, &other.url()).await;
        assert_eq!(code, 2, "{told}");
        assert!(
            told.contains("is no Jaeger") && told.contains("16686"),
            "{told}"
        );
    }
    let (code, told) = refused(TRACE, "http://127.0.0.1:1").await;
    assert_eq!(code, 5, "{told}");
    assert!(
        told.contains("nothing listens there") && told.contains("port-forward"),
        "{told}"
    );
    let sick = br#"{"error":{"httpCode":500,"message":"its storage is away"}}"#;
    let sick = Web::start(|_| (500, sick.to_vec())).await;
    let (code, told) = refused(TRACE, &sick.url()).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("its storage is away"), "{told}");
}

#[test]
fn a_trace_without_a_place_or_an_id_is_refused() {
    for (arguments, why) in [
        (&[TRACE][..], "Where is Jaeger?"),
        (
            &["c193"],
            "expected the 32 hexadecimal digits of a trace, or an account's id",
        ),
        (
            &[TRACE, "--jaeger-url", "jaeger:16686"],
            "expected http://HOST[:PORT]",
        ),
        (
            &[
                "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
                "--jaeger-url",
                "http://127.0.0.1:1",
            ],
            "is no account's id",
        ),
    ] {
        let mut command = usher();
        let output = command
            .args(["trace", "show"])
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(why), "{told}");
    }
}
