//! Starts and ends spans with explicit parents; contexts go on to `propagation`, rows and stream
//! items.
//!
//! A started span lives in the returned [`Context`]. Run work under it with
//! `opentelemetry::trace::FutureExt::with_context`, so that log lines carry its ids, and end it
//! with [`end`] or [`fail`]. In a process without telemetry nothing is made: the parent's context
//! itself comes back.

use std::{borrow::Cow, sync::OnceLock, time::Duration};

use opentelemetry::{
    Context, KeyValue, StringValue, TraceFlags,
    trace::{
        Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SdkTracer, SdkTracerProvider};

use super::names;

/// Beyond this age a message opens a trace of its own: the one that created it has long been read
/// and stored, and a span hours behind its parent makes it unreadable.
const LONGEST_JOURNEY: Duration = Duration::from_secs(15 * 60);

/// `None` where no span leaves the process.
static TRACER: OnceLock<Option<SdkTracer>> = OnceLock::new();

pub(super) fn record(provider: &SdkTracerProvider) {
    let _ = TRACER.set(Some(provider.tracer_with_scope(names::scope())));
}

/// Records nothing, but gives each journey that begins here its ids.
pub(super) fn make_ids() {
    let _ = TRACER.set(None);
}

/// Work that a process does inside of itself.
pub fn internal(
    name: impl Into<Cow<'static, str>>,
    parent: &Context,
    attributes: impl IntoIterator<Item = KeyValue>,
) -> Context {
    linked(SpanKind::Internal, name, parent, attributes, [])
}

/// A call to another process, as its caller sees it.
pub fn client(
    name: impl Into<Cow<'static, str>>,
    parent: &Context,
    attributes: impl IntoIterator<Item = KeyValue>,
) -> Context {
    linked(SpanKind::Client, name, parent, attributes, [])
}

/// A call as the one who answers it sees it; `parent` is the extracted context of a caller who may
/// decide about our traces.
pub fn server(
    name: impl Into<Cow<'static, str>>,
    parent: &Context,
    attributes: impl IntoIterator<Item = KeyValue>,
) -> Context {
    linked(SpanKind::Server, name, parent, attributes, [])
}

/// The making of a message. Its context is the *creation context*: it goes into the outbox row and
/// the headers, and every later span of the message hangs on it.
pub fn producer(
    name: impl Into<Cow<'static, str>>,
    parent: &Context,
    attributes: impl IntoIterator<Item = KeyValue>,
) -> Context {
    linked(SpanKind::Producer, name, parent, attributes, [])
}

/// The handling of one message whose creation context is `creation`: child of it and linked to it,
/// or the root of a new trace and linked to it where [`Lineage`] says so.
pub fn process(
    name: impl Into<Cow<'static, str>>,
    creation: &Context,
    lineage: Lineage,
    attributes: impl IntoIterator<Item = KeyValue>,
) -> Context {
    let root = Context::new();
    // The conventions prefer links, dependency graphs follow parents: so there are both.
    let parent = match lineage {
        Lineage::Aged(age) if age <= LONGEST_JOURNEY => creation,
        Lineage::Aged(_) | Lineage::Replayed => &root,
    };
    let link = creation.span().span_context().clone();
    linked(SpanKind::Consumer, name, parent, attributes, [link])
}

/// What decides whether a message's handling belongs to the trace that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// The time since the message was created; up to 15 minutes it is one journey.
    Aged(Duration),
    /// Published again from the history: always a trace of its own.
    Replayed,
}

/// A span of any kind that also points at others: a batch at its messages, a publish at its
/// creation. Invalid links are left out.
pub fn linked(
    kind: SpanKind,
    name: impl Into<Cow<'static, str>>,
    parent: &Context,
    attributes: impl IntoIterator<Item = KeyValue>,
    links: impl IntoIterator<Item = SpanContext>,
) -> Context {
    let tracer = match TRACER.get() {
        Some(Some(tracer)) => tracer,
        Some(None) if !parent.has_active_span() => return parent.with_remote_span_context(ids()),
        _ => return parent.clone(),
    };
    let links = links.into_iter().map(Link::with_context).collect();
    let builder = SpanBuilder::from_name(name)
        .with_kind(kind)
        .with_attributes(attributes)
        .with_links(links);
    parent.with_span(tracer.build_with_context(builder, parent))
}

fn ids() -> SpanContext {
    let (trace, span) = (
        RandomIdGenerator::default().new_trace_id(),
        RandomIdGenerator::default().new_span_id(),
    );
    SpanContext::new(
        trace,
        span,
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

/// Adds what only became known on the way.
pub fn set(context: &Context, attribute: KeyValue) {
    context.span().set_attribute(attribute);
}

/// Ends the span of work that succeeded, or whose failure is its caller's own doing.
pub fn end(context: &Context) {
    context.span().end();
}

/// Ends the span of work that failed. `error_type` is one of a small closed set of words, as
/// `timeout` or `UNAVAILABLE`; never an error's text, which may quote an address.
pub fn fail(context: &Context, error_type: impl Into<StringValue>) {
    let span = context.span();
    let error_type = error_type.into();
    span.set_attribute(KeyValue::new(names::ERROR_TYPE, error_type.clone()));
    span.set_status(Status::error(error_type.to_string()));
    span.end();
}
