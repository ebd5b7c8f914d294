//! Whose trace a call belongs to: a stranger's is linked to and decides nothing, and the id that a
//! command prints is the one that is found, whoever exports and whoever does not.

use std::collections::HashSet;

use kit::{telemetry::names, testing::SOON};
use opentelemetry::trace::SpanKind;
use proto::{
    accounts::{
        CreateAccountRequest, CreateAccountsRequest,
        accounts_service_client::AccountsServiceClient, create_accounts_response::Result as Answer,
    },
    streams::ACCOUNTS,
};
use serde_json::Value;
use tonic::Request;
use usher::otlp::{OtlpReceiver, Span};

use crate::{
    alone::Alone,
    hops::answered_and_published,
    mailer::Mailer,
    traces::is_whole,
    world::{World, usher},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn request(email: &str, caller: Option<&str>) -> Request<CreateAccountRequest> {
    let mut request = Request::new(CreateAccountRequest {
        email: email.to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        locale: "en".to_owned(),
    });
    if let Some(caller) = caller {
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", caller.parse().unwrap());
        metadata.insert("tracestate", "stranger=canary".parse().unwrap());
    }
    request
}

/// Trace, span and flags of `00-…`.
fn parts(traceparent: &str) -> (String, String, String) {
    let parts: Vec<_> = traceparent.split('-').map(str::to_owned).collect();
    assert_eq!(parts.len(), 4, "{traceparent}");
    (parts[1].clone(), parts[2].clone(), parts[3].clone())
}

/// The context that each event carries.
async fn carried(accounts: &Alone, events: u64) -> Vec<String> {
    let bus = accounts.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let mut carried = Vec::new();
    for sequence in 1..=events {
        let get = async || stream.get_raw_message(sequence).await.ok();
        let event = kit::testing::eventually("the event", SOON, get).await;
        let header = event.headers.get(kit::propagation::TRACEPARENT);
        carried.push(header.expect("it carries its trace").to_string());
    }
    carried
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_can_neither_merge_journeys_nor_switch_their_tracing_off() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let endpoint = receiver.endpoint();
    let accounts = Alone::start("accounts", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let mut client = AccountsServiceClient::new(accounts.channel());
    let mut journeys = HashSet::new();
    for (email, flags) in [("one@example.com", "00"), ("two@example.com", "01")] {
        let caller = format!("00-{TRACE}-{PARENT}-{flags}");
        let answer = client.create_account(request(email, Some(&caller))).await;
        let answer = answer.unwrap();
        let told = answer.metadata().get("traceresponse");
        let (trace, span, _) = parts(told.expect("it is told").to_str().unwrap());
        assert_ne!(trace, TRACE);
        let spans = receiver.wait_for_trace(&trace, answered_and_published, SOON);
        let spans = spans.await.expect("the journey is recorded");
        let server = spans.iter().find(|one| one.kind == SpanKind::Server);
        let server = server.expect("it begins with the answer");
        assert_eq!((&server.parent_span_id, &server.span_id), (&None, &span));
        let links: Vec<_> = server.links.iter().map(|link| &*link.span_id).collect();
        assert_eq!(links, [PARENT], "the caller can be found");
        journeys.insert(trace);
    }
    for carried in carried(&accounts, 2).await {
        let (trace, _, flags) = parts(&carried);
        assert!(journeys.remove(&trace) && flags == "01", "{carried}");
    }
    accounts.terminate().await;
    assert!(!receiver.to_text().contains("canary"), "a stranger's words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_item_of_a_stream_is_a_journey_of_its_own_that_points_at_its_caller() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let endpoint = receiver.endpoint();
    let accounts = Alone::start("accounts", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let mut client = AccountsServiceClient::new(accounts.channel());
    let items =
        ["one@example.com", "two@example.com", "canary"].map(|email| CreateAccountsRequest {
            item_id: "canary".to_owned(),
            idempotency_key: String::new(),
            account: Some(request(email, None).into_inner()),
        });
    let mut request = Request::new(tokio_stream::iter(items));
    let caller = format!("00-{TRACE}-{PARENT}-00").parse().unwrap();
    request.metadata_mut().insert("traceparent", caller);
    let mut results = client.create_accounts(request).await.unwrap().into_inner();
    let mut ids = HashSet::new();
    while let Some(result) = results.message().await.unwrap() {
        if let Some(Answer::Created(created)) = result.result {
            ids.insert(created.account.unwrap().account_id);
        }
    }
    let carried: HashSet<String> = carried(&accounts, 2)
        .await
        .iter()
        .map(|carried| parts(carried).0)
        .collect();
    accounts.terminate().await;
    let servers = receiver.matching(|span| span.kind == SpanKind::Server);
    assert_eq!(servers.len(), 3);
    let (mut of_accounts, mut told) = (HashSet::new(), Vec::new());
    for span in &servers {
        assert!(span.name.ends_with("/CreateAccounts") && span.parent_span_id.is_none());
        let links: Vec<_> = span.links.iter().map(|link| &*link.span_id).collect();
        assert_eq!(links, [PARENT]);
        told.push(span.attribute(names::RPC_RESPONSE_STATUS_CODE).unwrap());
        if let Some(id) = span.attribute(names::USHER_ACCOUNT_ID) {
            assert!(ids.remove(id) && carried.contains(&span.trace_id));
            of_accounts.insert(span.trace_id.clone());
        }
    }
    told.sort_unstable();
    assert_eq!(told, ["INVALID_ARGUMENT", "OK", "OK"]);
    assert_eq!(
        of_accounts, carried,
        "each event goes on in its item's trace"
    );
    assert!(!receiver.to_text().contains("canary"), "a stranger's words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_callers_are_trusted_their_traces_go_on_and_are_recorded_or_not_as_they_say() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let endpoint = receiver.endpoint();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("USHER_CALLER_TRACES", "continue"),
    ];
    let accounts = Alone::start("accounts", &environment).await;
    let mut client = AccountsServiceClient::new(accounts.channel());
    let other = TRACE.replace('0', "1");
    for (email, trace, flags) in [
        ("one@example.com", TRACE, "01"),
        ("two@example.com", &*other, "00"),
    ] {
        let caller = format!("00-{trace}-{PARENT}-{flags}");
        let answer = client.create_account(request(email, Some(&caller))).await;
        let answer = answer.unwrap();
        let told = answer.metadata().get("traceresponse").unwrap();
        let (told, _, said) = parts(told.to_str().unwrap());
        assert_eq!((&*told, &*said), (trace, flags));
    }
    accounts.terminate().await;
    let server = |span: &&Span| span.kind == SpanKind::Server;
    let spans = receiver.trace(TRACE);
    let server = spans.iter().find(server).unwrap();
    assert_eq!(server.parent_span_id.as_deref(), Some(PARENT));
    assert!(receiver.trace(&other).is_empty());
}

/// A service without a collector decides nothing for those who have one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_exports_nothing_hands_traces_on_as_they_came_and_begins_recorded_ones() {
    let accounts = Alone::start("accounts", &[("USHER_CALLER_TRACES", "continue")]).await;
    let mut client = AccountsServiceClient::new(accounts.channel());
    let traced = format!("00-{TRACE}-{PARENT}-01");
    let unwanted = format!("00-{TRACE}-{PARENT}-00");
    for (email, caller) in [
        ("one@example.com", None),
        ("two@example.com", Some(traced.as_str())),
        ("three@example.com", Some(unwanted.as_str())),
    ] {
        client.create_account(request(email, caller)).await.unwrap();
    }
    // In the order of their rows, which is nobody's promise.
    let mut carried: HashSet<_> = carried(&accounts, 3).await.into_iter().collect();
    let as_they_came = [&traced, &unwanted];
    assert!(
        as_they_came.iter().all(|came| carried.remove(*came)),
        "{carried:?}"
    );
    let (trace, _, flags) = parts(carried.iter().next().expect("one began here"));
    assert!(trace != TRACE && flags == "01", "{carried:?}");

    let mailer = Mailer::start().await;
    let mailer_url = mailer.url();
    let environment = [
        ("USHER_MAILER_URL", mailer_url.as_str()),
        ("USHER_CODE_KEYS_FILE", "code-keys"),
    ];
    let verification = Alone::start("verification", &environment).await;
    let account = verification
        .publish_account("four@example.com", &traced)
        .await;
    assert_eq!(mailer.mail(&account).await.traceparent, traced);
}

/// `usher account` without the folder of the running system, so that it finds no collector.
fn elsewhere(world: &World, endpoint: Option<&str>, arguments: &[&str]) -> Value {
    let run = world.run_file();
    let mut command = usher();
    command.args(arguments);
    for service in ["accounts", "verification"] {
        let url = run[service]["url"].as_str().expect("it has an address");
        command.args([format!("--{service}-url"), url.to_owned()]);
    }
    command.args(["--output", "json", "--data", "/nowhere"]);
    command.envs(endpoint.map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
    let output = command.output().expect("usher can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_that_a_command_prints_is_the_one_that_is_found_whether_it_exports_or_not() {
    for callers in ["link", "continue"] {
        let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
        let endpoint = receiver.endpoint();
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("USHER_CALLER_TRACES", callers),
        ];
        let world = World::start(&environment).await;
        for (email, exported) in [
            ("ada@example.com", None),
            ("bob@example.com", Some(&*endpoint)),
        ] {
            let created = elsewhere(&world, exported, &["account", "create", email]);
            let spans = whole(&receiver, &created, "file write").await;
            let account = created["account"]["account_id"].as_str().unwrap();
            let code = world.code_for(email).await;
            let confirmed = ["account", "confirm", account, &code];
            let confirmed = elsewhere(&world, exported, &confirmed);
            whole(
                &receiver,
                &confirmed,
                "process verification.v1.account_verified",
            )
            .await;
            let of_command = spans.iter().any(|span| span.service == "usher");
            assert_eq!(of_command, exported.is_some() && callers == "continue");
        }
    }
}

/// The spans of the trace that a command printed: one root, every other span's cause, and the last.
async fn whole(receiver: &OtlpReceiver, answer: &Value, last: &str) -> Vec<Span> {
    let id = answer["trace_id"].as_str().expect("the command tells it");
    let complete = |spans: &[Span]| {
        let roots = spans.iter().filter(|span| span.parent_span_id.is_none());
        is_whole(spans, last) && roots.count() == 1
    };
    let spans = receiver.wait_for_trace(id, complete, SOON).await;
    spans.unwrap_or_else(|spans| panic!("the trace {id} is not whole: {spans:#?}"))
}
