//! One trace from the caller to the mail, hop by hop, whatever is logged.

use kit::telemetry::names;
use opentelemetry::trace::SpanKind;
use usher::otlp::{OtlpReceiver, Span};

use kit::testing::SOON;

use crate::world::World;

// Two threads: the receiver answers while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_sign_up_is_whole_even_when_nothing_is_logged() {
    let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
    let endpoint = receiver.endpoint();
    let world = World::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("RUST_LOG", "off"),
    ])
    .await;
    let created = world.json(&["account", "create", "ada@example.com"]);
    let spans = trace(&receiver, &created, "file write").await;

    let root = one(&spans, "usher", &SpanKind::Internal, "usher account");
    let call = child(&spans, root, "usher", &SpanKind::Client, "CreateAccount");
    let answer = child(&spans, call, "accounts", &SpanKind::Server, "CreateAccount");
    let creation = child(
        &spans,
        answer,
        "accounts",
        &SpanKind::Producer,
        "create accounts.v1.account_created",
    );
    let publish = child(
        &spans,
        creation,
        "accounts",
        &SpanKind::Client,
        "publish accounts.v1.account_created",
    );
    let process = child(
        &spans,
        creation,
        "verification",
        &SpanKind::Consumer,
        "process accounts.v1.account_created",
    );
    for linked in [publish, process] {
        let link = linked
            .links
            .iter()
            .find(|link| link.span_id == creation.span_id);
        assert!(
            link.is_some_and(|link| link.trace_id == creation.trace_id),
            "{} links to its creation",
            linked.name
        );
    }
    let deliver = child(
        &spans,
        process,
        "verification",
        &SpanKind::Client,
        "deliver",
    );
    let delivered = child(&spans, deliver, "mailer", &SpanKind::Server, "deliver");
    let mail = child(
        &spans,
        delivered,
        "mailer",
        &SpanKind::Internal,
        "file write",
    );
    assert_eq!(
        delivered.attribute(names::USHER_CODE_ID),
        deliver.attribute(names::USHER_CODE_ID)
    );
    assert!(mail.end >= creation.start);

    let account = created["account"]["account_id"]
        .as_str()
        .expect("an account has an id")
        .to_owned();
    let code = world.code_for("ada@example.com").await;
    let confirmed = world.json(&["account", "confirm", &account, &code]);
    let spans = trace(
        &receiver,
        &confirmed,
        "process verification.v1.account_verified",
    )
    .await;
    let root = one(&spans, "usher", &SpanKind::Internal, "usher account");
    let call = child(&spans, root, "usher", &SpanKind::Client, "ConfirmCode");
    let answer = child(
        &spans,
        call,
        "verification",
        &SpanKind::Server,
        "ConfirmCode",
    );
    let creation = child(
        &spans,
        answer,
        "verification",
        &SpanKind::Producer,
        "create verification.v1.account_verified",
    );
    child(
        &spans,
        creation,
        "verification",
        &SpanKind::Client,
        "publish verification.v1.account_verified",
    );
    let process = child(
        &spans,
        creation,
        "accounts",
        &SpanKind::Consumer,
        "process verification.v1.account_verified",
    );
    assert!(
        process
            .links
            .iter()
            .any(|link| link.span_id == creation.span_id)
    );

    let logs = std::fs::read_dir(world.data().join("logs")).expect("there is a folder of logs");
    for log in logs
        .filter_map(Result::ok)
        .filter(|log| !log.file_name().to_string_lossy().starts_with("nats"))
    {
        let text = std::fs::read_to_string(log.path()).expect("a log can be read");
        assert_eq!(
            text,
            "",
            "{:?} holds lines although nothing is to be logged",
            log.file_name()
        );
    }
}

/// Whether the last span of a trace is there, and every span's cause.
pub(crate) fn is_whole(spans: &[Span], last: &str) -> bool {
    let has = |id: &String| spans.iter().any(|span| span.span_id == *id);
    let mut parents = spans.iter().filter_map(|span| span.parent_span_id.as_ref());
    spans.iter().any(|span| span.name == last) && parents.all(has)
}

/// The spans of a command's trace, complete: the last one is there and so is every span's cause, and
/// the event's publication, which nothing follows.
async fn trace(receiver: &OtlpReceiver, answer: &serde_json::Value, last: &str) -> Vec<Span> {
    let id = answer["trace_id"]
        .as_str()
        .expect("the command tells its trace");
    let complete = |spans: &[Span]| {
        is_whole(spans, last) && spans.iter().any(|span| span.name.starts_with("publish"))
    };
    let spans = receiver.wait_for_trace(id, complete, SOON).await;
    spans.unwrap_or_else(|spans| panic!("the trace is not whole:\n{}", listed(&spans)))
}

fn one<'a>(spans: &'a [Span], service: &str, kind: &SpanKind, name: &str) -> &'a Span {
    let fits =
        |span: &&Span| span.service == service && span.kind == *kind && span.name.ends_with(name);
    let mut found = spans.iter().filter(fits);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {kind:?} span {name} of {service}:\n{}", listed(spans)));
    assert!(
        found.next().is_none(),
        "{name} of {service} stands twice:\n{}",
        listed(spans)
    );
    first
}

fn child<'a>(
    spans: &'a [Span],
    parent: &Span,
    service: &str,
    kind: &SpanKind,
    name: &str,
) -> &'a Span {
    let span = one(spans, service, kind, name);
    assert_eq!(
        span.parent_span_id.as_ref(),
        Some(&parent.span_id),
        "{} is no child of {}:\n{}",
        span.name,
        parent.name,
        listed(spans)
    );
    span
}

fn listed(spans: &[Span]) -> String {
    let line = |span: &Span| {
        format!(
            "{} {:?} {} {} ← {:?}\n",
            span.service, span.kind, span.name, span.span_id, span.parent_span_id
        )
    };
    spans.iter().map(line).collect()
}
