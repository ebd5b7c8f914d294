//! What survives the way over gRPC metadata, NATS headers and table columns, and what garbage does.

use async_nats::HeaderMap as NatsHeaders;
use http::{HeaderMap, HeaderValue};
use kit::propagation::{
    extract_http, extract_metadata, extract_nats, from_traceparent, inject_http, inject_metadata,
    inject_nats, to_traceparent,
};
use opentelemetry::{Context, trace::TraceContextExt as _};
use tonic::metadata::MetadataMap;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=value,other=thing";

#[test]
fn a_context_survives_the_way_through_columns() {
    let context = from_traceparent(PARENT, STATE);
    let span = context.span().span_context().clone();
    assert!(span.is_remote() && span.is_sampled());
    assert_eq!(
        span.trace_id().to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(
        to_traceparent(&context),
        (PARENT.to_owned(), STATE.to_owned())
    );
}

#[test]
fn an_unsampled_context_stays_unsampled() {
    let unsampled = PARENT.replace("-01", "-00");
    let context = from_traceparent(&unsampled, "");
    assert!(
        context.span().span_context().is_valid() && !context.span().span_context().is_sampled()
    );
    assert_eq!(to_traceparent(&context), (unsampled, String::new()));
}

#[test]
fn a_context_survives_the_way_through_grpc_metadata() {
    let mut metadata = MetadataMap::new();
    inject_metadata(&from_traceparent(PARENT, STATE), &mut metadata);
    assert_eq!(
        to_traceparent(&extract_metadata(&metadata)),
        (PARENT.to_owned(), STATE.to_owned())
    );

    let mut headers = HeaderMap::new();
    inject_http(&from_traceparent(PARENT, ""), &mut headers);
    assert_eq!(headers.len(), 1, "an empty tracestate is left out");
    assert_eq!(
        to_traceparent(&extract_http(&headers)),
        (PARENT.to_owned(), String::new())
    );
}

#[test]
fn a_context_survives_the_way_through_nats_headers() {
    let mut headers = NatsHeaders::new();
    inject_nats(&from_traceparent(PARENT, ""), &mut headers);
    assert_eq!(headers.len(), 1, "an empty tracestate is left out");
    assert_eq!(to_traceparent(&extract_nats(&headers)).0, PARENT);
}

#[test]
fn nats_header_names_are_found_in_any_case_and_the_first_value_counts() {
    let mut headers = NatsHeaders::new();
    headers.append("TraceParent", PARENT);
    headers.append(
        "TraceParent",
        "00-11111111111111111111111111111111-2222222222222222-01",
    );
    headers.append("Tracestate", STATE);
    assert_eq!(
        to_traceparent(&extract_nats(&headers)),
        (PARENT.to_owned(), STATE.to_owned())
    );
}

#[test]
fn the_creation_context_of_a_message_is_never_overwritten() {
    let mut headers = NatsHeaders::new();
    headers.insert("Traceparent", PARENT);
    inject_nats(
        &from_traceparent(
            "00-11111111111111111111111111111111-2222222222222222-01",
            "",
        ),
        &mut headers,
    );
    assert_eq!(headers.len(), 1);
    assert_eq!(to_traceparent(&extract_nats(&headers)).0, PARENT);
}

#[test]
fn garbage_is_ignored_and_never_panics() {
    let long_state = format!("a={}", "x".repeat(600));
    for parent in [
        "",
        "-",
        "----",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        "\u{1F600}\0\r\n",
    ] {
        for state in ["", STATE, "=,=,", &long_state, "\u{1F600}"] {
            let context = from_traceparent(parent, state);
            assert!(
                !context.span().span_context().is_valid(),
                "{parent:?} was taken"
            );
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        "traceparent",
        HeaderValue::from_bytes(&[0xff, 0xfe]).unwrap(),
    );
    assert!(!extract_http(&headers).has_active_span());
}

#[test]
fn a_broken_or_overlong_tracestate_does_not_cost_the_trace() {
    for state in [
        "no equals sign",
        "a=\u{1F600}",
        "a=b\r\nc: d",
        &format!("a={}", "x".repeat(600)),
    ] {
        let context = from_traceparent(PARENT, state);
        assert_eq!(
            to_traceparent(&context),
            (PARENT.to_owned(), String::new()),
            "{state:?}"
        );
    }
}

#[test]
fn a_later_version_with_more_fields_is_understood() {
    let context = from_traceparent(
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "",
    );
    assert_eq!(to_traceparent(&context).0, PARENT);
}

#[test]
fn without_a_trace_nothing_is_written() {
    let (mut headers, mut metadata, mut nats) =
        (HeaderMap::new(), MetadataMap::new(), NatsHeaders::new());
    inject_http(&Context::new(), &mut headers);
    inject_metadata(&Context::new(), &mut metadata);
    inject_nats(&Context::new(), &mut nats);
    assert!(headers.is_empty() && metadata.is_empty() && nats.is_empty());
}
