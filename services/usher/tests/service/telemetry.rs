//! What `kit::telemetry` lets leave a process: spans, metrics and log lines. Telemetry is one for a
//! process and set up by its environment, so each test runs a scenario in a child of its own: this
//! same binary, told so by a variable.

use std::{collections::BTreeMap, env, process::Stdio, time::Duration};

use kit::{
    telemetry::names,
    testing::{SOON, eventually},
};
use opentelemetry::trace::SpanKind;
use tokio::process::Command;
use usher::otlp::{OtlpReceiver, Span, SpanStatus};

use crate::collector::Collector;
use crate::scenarios::{CHILD, GET, SEEN, TOO_OLD};

/// What a scenario left behind: `name: value` lines on standard output, and its log.
struct Ran {
    said: BTreeMap<String, String>,
    log: String,
    took: Duration,
}

async fn run(scenario: &str, environment: &[(&str, &str)]) -> Ran {
    let begun = std::time::Instant::now();
    let child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "scenarios::run_as_a_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_remove("RUST_LOG")
        .env(CHILD, scenario)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SOON, child)
        .await
        .expect("the scenario ends")
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success(),
        "scenario {scenario} failed:\n{log}"
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.lines().filter_map(|line| line.split_once(": "));
    let said = said
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Ran {
        said,
        log,
        took: begun.elapsed(),
    }
}

fn one<'a>(spans: &'a [Span], kind: &SpanKind, name: &str) -> &'a Span {
    let fitting: Vec<_> = spans
        .iter()
        .filter(|span| span.kind == *kind && span.name == name)
        .collect();
    assert_eq!(fitting.len(), 1, "one {kind:?} span {name:?} in {spans:#?}");
    fitting[0]
}

fn is_child(child: &Span, parent: &Span) -> bool {
    child.trace_id == parent.trace_id && child.parent_span_id.as_ref() == Some(&parent.span_id)
}

#[tokio::test]
async fn a_trace_passes_through_a_grpc_call_hop_by_hop_and_leaves_a_current_thread_runtime_whole() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let ran = run(
        "call",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint()),
            ("RUST_LOG", "off"),
        ],
    )
    .await;
    assert!(
        ran.log.is_empty(),
        "RUST_LOG=off silences the log and not the trace: {}",
        ran.log
    );

    let spans = receiver.trace(&ran.said["trace"]);
    let root = one(&spans, &SpanKind::Internal, "root");
    let client = one(&spans, &SpanKind::Client, GET);
    let server = one(&spans, &SpanKind::Server, GET);
    let inner = one(&spans, &SpanKind::Internal, "inside the handler");
    assert_eq!((spans.len(), root.parent_span_id.as_ref()), (4, None));
    assert!(is_child(client, root) && is_child(server, client) && is_child(inner, server));

    assert_eq!(server.service, "accounts");
    assert_eq!(server.attribute(names::RPC_SYSTEM_NAME), Some("grpc"));
    assert_eq!(server.attribute(names::RPC_METHOD), Some(GET));
    assert_eq!(
        server.attribute(names::RPC_RESPONSE_STATUS_CODE),
        Some("OK")
    );
    assert_eq!(client.attribute(names::SERVER_ADDRESS), Some("127.0.0.1"));
    assert_eq!(
        (&server.status, &client.status),
        (&SpanStatus::Unset, &SpanStatus::Unset)
    );
}

#[tokio::test]
async fn a_refused_call_is_the_callers_failure_and_a_broken_one_is_both_sides() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let ran = run(
        "failures",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())],
    )
    .await;
    for (call, at_client, at_server) in [
        ("refused", "NOT_FOUND", None),
        ("broken", "INTERNAL", Some("INTERNAL")),
    ] {
        let spans = receiver.trace(&ran.said[call]);
        let (client, server) = (
            one(&spans, &SpanKind::Client, GET),
            one(&spans, &SpanKind::Server, GET),
        );
        assert_eq!(
            server.attribute(names::RPC_RESPONSE_STATUS_CODE),
            Some(at_client)
        );
        assert_eq!(client.attribute(names::ERROR_TYPE), Some(at_client));
        assert_eq!(client.status, SpanStatus::Error(at_client.to_owned()));
        assert_eq!(server.attribute(names::ERROR_TYPE), at_server);
    }
    let unanswered = receiver.trace(&ran.said["unanswered"]);
    assert_eq!(
        one(&unanswered, &SpanKind::Client, GET).attribute(names::ERROR_TYPE),
        Some("UNAVAILABLE")
    );
    let cancelled = receiver.trace(&ran.said["cancelled"]);
    assert_eq!(
        one(&cancelled, &SpanKind::Client, GET).attribute(names::ERROR_TYPE),
        Some("CANCELLED")
    );
}

#[tokio::test]
async fn probes_and_streams_that_stay_open_make_no_spans_and_still_pass_the_trace_on() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let ran = run(
        "streams",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())],
    )
    .await;
    let spans = receiver.trace(&ran.said["trace"]);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["root", "inside the handler"]);
    assert!(is_child(&spans[1], &spans[0]));
    assert_eq!(ran.said["health"], "asked");
}

#[tokio::test]
async fn handling_a_message_is_child_and_link_of_its_creation_unless_it_is_old_or_replayed() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let ran = run(
        "messages",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())],
    )
    .await;
    let spans = receiver.spans();
    let creation = one(&spans, &SpanKind::Producer, "create subject");
    for name in ["fresh", "old", "replayed"] {
        let process = one(&spans, &SpanKind::Consumer, name);
        assert_eq!(is_child(process, creation), name == "fresh", "{name}");
        assert_eq!(process.parent_span_id.is_none(), name != "fresh", "{name}");
        assert_eq!(process.links.len(), 1, "{name}");
        assert_eq!(process.links[0].span_id, creation.span_id, "{name}");
    }
    let batch = one(&spans, &SpanKind::Internal, "batch");
    assert_eq!(batch.links.len(), 2, "an invalid link is left out");
    assert_eq!(
        one(&spans, &SpanKind::Consumer, "old").attribute(names::ERROR_TYPE),
        Some(TOO_OLD)
    );
    assert_ne!(
        ran.said["trace"],
        one(&spans, &SpanKind::Consumer, "old").trace_id
    );
}

#[tokio::test]
async fn every_line_of_a_call_carries_its_trace_in_text_and_in_json_and_in_what_is_exported() {
    for format in ["text", "json"] {
        let receiver = OtlpReceiver::record().await.unwrap();
        let endpoint = receiver.endpoint();
        let ran = run(
            "call",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("USHER_LOG_FORMAT", format),
            ],
        )
        .await;
        let server = receiver.trace(&ran.said["trace"]);
        let server = one(&server, &SpanKind::Server, GET);
        let line = ran
            .log
            .lines()
            .find(|line| line.contains("Account looked up."))
            .unwrap();
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["trace_id"], server.trace_id.as_str());
            assert_eq!(line["span_id"], server.span_id.as_str());
            assert_eq!(line["account.id"], "one\ntwo", "JSON can hold a line break");
            assert_eq!(
                (&line["level"], &line["service"]),
                (&"INFO".into(), &"accounts".into())
            );
        } else {
            assert!(
                line.contains(&format!(
                    "trace_id={} span_id={}",
                    server.trace_id, server.span_id
                )),
                "{line}"
            );
            assert!(
                line.contains(r"account.id=one\ntwo"),
                "a line stays one: {line}"
            );
        }
        assert!(
            receiver.to_text().contains("Account looked up."),
            "the line was exported too"
        );
    }
}

#[tokio::test]
async fn a_panic_is_one_line_of_the_log_in_its_format_even_where_the_log_is_off() {
    let json = [("RUST_LOG", "off"), ("USHER_LOG_FORMAT", "json")];
    let ran = run("panic", &json).await;
    let line: serde_json::Value = serde_json::from_str(ran.log.trim()).unwrap();
    assert_eq!(line["level"], "ERROR");
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("panicked at") && message.contains("on purpose"));
}

#[tokio::test]
async fn without_a_collector_the_lines_of_a_journey_can_still_be_found() {
    let ran = run("call", &[]).await;
    let trace = &ran.said["trace"];
    assert_ne!(*trace, "0".repeat(32));
    assert!(
        ran.log.contains(&format!("trace_id={trace}")),
        "{}",
        ran.log
    );
}

#[tokio::test]
async fn exporting_logs_makes_no_logs_to_export_at_any_level() {
    let receiver = OtlpReceiver::record().await.unwrap();
    run(
        "call",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint()),
            ("RUST_LOG", "trace"),
        ],
    )
    .await;
    let exported = receiver.to_text();
    assert!(exported.contains("Account looked up."));
    for library in ["h2", "hyper", "tonic", "tower", "opentelemetry"] {
        assert!(
            !exported.contains(&format!(
                "scope: Some(InstrumentationScope {{ name: \"{library}"
            )),
            "{library}"
        );
    }
}

#[tokio::test]
async fn metrics_are_scraped_and_pushed_under_the_conventions_names() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let ran = run(
        "call",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())],
    )
    .await;
    let count = |side: &str| format!("rpc_{side}_call_duration_seconds_count");
    for side in ["client", "server"] {
        let value = ran
            .said
            .iter()
            .find(|(name, _)| name.starts_with(&count(side)));
        let (name, _) = value.unwrap_or_else(|| panic!("no {side} in {:#?}", ran.said));
        assert!(
            name.contains(&format!("rpc_method=\"{GET}\""))
                && name.contains("rpc_response_status_code=\"OK\"")
        );
        assert!(
            receiver
                .to_text()
                .contains(&format!("rpc.{side}.call.duration"))
        );
    }
    for resource in ["service.name", "service.version", "service.instance.id"] {
        assert!(receiver.to_text().contains(resource), "{resource}");
    }
}

#[tokio::test]
async fn opentelemetrys_own_variables_are_obeyed() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let endpoint = receiver.endpoint();
    let to = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());

    run("call", &[to, ("OTEL_SDK_DISABLED", "true")]).await;
    run(
        "call",
        &[
            to,
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ],
    )
    .await;
    assert_eq!((receiver.spans().len(), &*receiver.to_text()), (0, ""));

    let apart = run("call", &[to, ("OTEL_PROPAGATORS", "none")]).await;
    let spans = receiver.trace(&apart.said["trace"]);
    assert!(
        spans.iter().all(|span| span.kind != SpanKind::Server),
        "the trace ends at the border"
    );

    let named = [
        to,
        ("OTEL_SERVICE_NAME", "other"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=seven"),
    ];
    let named = run("call", &named).await;
    let spans = receiver.trace(&named.said["trace"]);
    assert_eq!(
        (spans[0].service.as_str(), spans[0].instance.as_str()),
        ("other", "seven")
    );

    // What the Downward API tells a pod of itself.
    let of_pod = "k8s.namespace.name=shop,k8s.pod.name=usher-accounts-7,k8s.node.name=n1,\
                  service.instance.id=shop.usher-accounts-7.accounts";
    let pod = run("call", &[to, ("OTEL_RESOURCE_ATTRIBUTES", of_pod)]).await;
    let spans = receiver.trace(&pod.said["trace"]);
    assert_eq!(spans[0].instance, "shop.usher-accounts-7.accounts");
    for attribute in of_pod.split(',') {
        let (name, value) = attribute.split_once('=').unwrap();
        assert!(receiver.to_text().contains(name), "{name}");
        assert!(receiver.to_text().contains(value), "{value}");
    }

    let silent = run("call", &[to, ("OTEL_TRACES_SAMPLER", "always_off")]).await;
    assert!(receiver.trace(&silent.said["trace"]).is_empty());
}

#[tokio::test]
async fn a_log_filter_that_cannot_be_used_is_refused_with_its_name() {
    let ran = run("refused settings", &[("RUST_LOG", "info,=,x=loud")]).await;
    assert!(ran.said["error"].contains("RUST_LOG"), "{:?}", ran.said);
}

#[tokio::test]
async fn telemetry_that_cannot_be_used_is_told_of_once_and_stops_no_service() {
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (variable, value, told) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/protobuf",
            "_PROTOCOL is \"http/protobuf\"",
        ),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "/nowhere.pem",
            "/nowhere.pem, which cannot be read",
        ),
        (
            endpoint,
            "http://usher:s3cret@[nowhere",
            "Expected is http://HOST:4317",
        ),
    ] {
        let environment = [(endpoint, "https://127.0.0.1:1"), (variable, value)];
        let ran = run("call", &environment).await;
        assert_eq!(ran.said["trace"].len(), 32, "the service works");
        let lines = ran.log.lines().filter(|line| line.contains("Not exported"));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{}", ran.log);
        let line = lines[0];
        assert!(
            line.contains("traces, metrics, logs.") && line.contains(told),
            "{line}"
        );
        assert!(!ran.log.contains("s3cret"), "{}", ran.log);
    }
}

#[tokio::test]
async fn spans_go_over_tls_to_a_collector_whose_certificate_is_trusted() {
    let (collector, certificate) = Collector::with_tls().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("collector.pem");
    std::fs::write(&file, certificate).unwrap();
    let to = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let ran = run("call", &[to]).await;
    assert!(ran.log.contains("does not take traces"), "{}", ran.log);
    assert_eq!(
        collector.offered()[0],
        0,
        "a certificate of nobody was trusted"
    );
    let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap());
    let ran = run("call", &[to, trusted]).await;
    assert!(collector.offered()[0] > 0, "{}", ran.log);
}

#[tokio::test]
async fn what_a_collector_does_not_take_is_said_once_and_not_offered_again() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "100"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        (SEEN, seen.to_str().unwrap()),
    ];
    let offered = async {
        let both = async || {
            let [_, logs, metrics] = collector.offered();
            (logs > 0 && metrics > 0).then_some(())
        };
        eventually("logs and metrics to be offered", SOON, both).await;
        std::fs::write(&seen, "").unwrap();
    };
    let (ran, ()) = tokio::join!(run("lines", &environment), offered);
    let [_, logs, metrics] = collector.offered();
    assert_eq!((logs, metrics), (1, 1), "{}", ran.log);
    for signal in ["logs", "metrics"] {
        let told = format!("The collector takes no {signal}: none are sent");
        assert_eq!(ran.log.matches(&told).count(), 1, "{}", ran.log);
    }
    assert!(
        !ran.log.contains(" opentelemetry"),
        "the SDK's own words: {}",
        ran.log
    );
}

#[tokio::test]
async fn a_burst_of_spans_is_not_dropped() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.endpoint()),
        ("OTEL_LOGS_EXPORTER", "none"),
        (SEEN, seen.to_str().unwrap()),
    ];
    let arrived = async {
        let all = async || (receiver.spans().len() >= 20_000).then_some(());
        eventually("all spans", SOON, all).await;
        std::fs::write(&seen, "").unwrap();
    };
    tokio::join!(run("burst", &environment), arrived);
    assert_eq!(receiver.spans().len(), 20_000);
}

#[tokio::test]
async fn a_dead_collector_does_not_hold_up_the_exit() {
    let ran = run(
        "call",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")],
    )
    .await;
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    // One that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let ran = run("call", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
}
