//! One received span, flat: OTLP nests it under its resource and scope; readers want it whole.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry::trace::SpanKind;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span as Wire, span::SpanKind as WireKind, status::StatusCode},
};

use kit::telemetry::names;

/// A span with what its process is called. Ids are lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// The span that caused it; none for a root.
    pub parent_span_id: Option<String>,
    /// `service.name` of its process.
    pub service: String,
    /// `service.instance.id` of its process; another one after every restart.
    pub instance: String,
    /// What was done.
    pub name: String,
    /// On which side of which border.
    pub kind: SpanKind,
    /// When it began, since the Unix epoch.
    pub start: Duration,
    /// When it ended, since the Unix epoch.
    pub end: Duration,
    /// Details, as text.
    pub attributes: BTreeMap<String, String>,
    /// Spans elsewhere that it has to do with.
    pub links: Vec<Link>,
    /// How it went.
    pub status: SpanStatus,
}

/// Points at another span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other's trace.
    pub trace_id: String,
    /// The other's id.
    pub span_id: String,
}

/// How a span's work went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing was said, which is the normal case.
    Unset,
    /// Expressly well.
    Ok,
    /// It failed, with a description.
    Error(String),
}

impl Span {
    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }

    /// An attribute by its name in `telemetry::names`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// Flattens what OTLP nests.
pub(crate) fn spans_of(processes: Vec<ResourceSpans>) -> Vec<Span> {
    let mut spans = Vec::new();
    for process in processes {
        let resource = attributes(process.resource.unwrap_or_default().attributes);
        for scope in process.scope_spans {
            for span in scope.spans {
                spans.push(flat(span, &resource));
            }
        }
    }
    spans
}

fn flat(span: Wire, resource: &BTreeMap<String, String>) -> Span {
    let of_process = |name| resource.get(name).cloned().unwrap_or_default();
    let kind = kind(span.kind());
    let mut parent_span_id = None;
    if !span.parent_span_id.is_empty() {
        parent_span_id = Some(hex::encode(&span.parent_span_id));
    }
    let mut links = Vec::new();
    for link in &span.links {
        links.push(Link {
            trace_id: hex::encode(&link.trace_id),
            span_id: hex::encode(&link.span_id),
        });
    }
    let status = match span.status {
        Some(status) if status.code() == StatusCode::Error => SpanStatus::Error(status.message),
        Some(status) if status.code() == StatusCode::Ok => SpanStatus::Ok,
        _ => SpanStatus::Unset,
    };
    Span {
        trace_id: hex::encode(&span.trace_id),
        span_id: hex::encode(&span.span_id),
        parent_span_id,
        service: of_process(names::SERVICE_NAME),
        instance: of_process(names::SERVICE_INSTANCE_ID),
        name: span.name,
        kind,
        start: Duration::from_nanos(span.start_time_unix_nano),
        end: Duration::from_nanos(span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        links,
        status,
    }
}

const fn kind(kind: WireKind) -> SpanKind {
    match kind {
        WireKind::Client => SpanKind::Client,
        WireKind::Server => SpanKind::Server,
        WireKind::Producer => SpanKind::Producer,
        WireKind::Consumer => SpanKind::Consumer,
        WireKind::Unspecified | WireKind::Internal => SpanKind::Internal,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs.map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::BytesValue(value)) => hex::encode(value),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
