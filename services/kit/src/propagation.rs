//! Carries the W3C trace context (`traceparent`, `tracestate`) in gRPC metadata, NATS headers and
//! table columns, and back to callers (`traceresponse`); `telemetry::span` continues what is
//! extracted here.
//!
//! Carriers are our own because the SDK's would fail here: `async_nats::HeaderMap` is
//! case-sensitive, so that a foreign `Traceparent` would not be found, and the SDK writes an empty
//! `tracestate` next to every `traceparent`. Baggage is not carried at all: nothing here needs it,
//! and over a broker it would travel further than its author can see. Whatever is malformed is
//! ignored, since a broken header must never stop a message.

use std::{
    str::FromStr as _,
    sync::atomic::{AtomicBool, Ordering},
};

use async_nats::{HeaderMap as NatsHeaders, HeaderValue as NatsValue};
use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tonic::metadata::{MetadataMap, MetadataValue};

/// The header, metadata key and column that names trace, span and flags.
pub const TRACEPARENT: &str = "traceparent";

/// The header, metadata key and column with what tracing vendors add.
pub const TRACESTATE: &str = "tracestate";

/// The response header that names the trace and span of an answer, written as `traceparent` is:
/// from drafts of W3C Trace Context Level 2, and what OpenTelemetry's own response propagators send.
pub const TRACERESPONSE: &str = "traceresponse";

/// W3C §3.3.1.5 asks for 512 characters to be carried; whatever is longer was not made by a tracer.
const LONGEST_TRACESTATE: usize = 512;

static DISABLED: AtomicBool = AtomicBool::new(false);

/// Stops all propagation in this process: `OTEL_PROPAGATORS=none`.
pub(crate) fn disable() {
    DISABLED.store(true, Ordering::Relaxed);
}

/// Returns `traceparent` and `tracestate` of the context's span for storage beside the work that it
/// caused. Both are empty where there is no trace; `tracestate` mostly is.
pub fn to_traceparent(context: &Context) -> (String, String) {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() || DISABLED.load(Ordering::Relaxed) {
        return (String::new(), String::new());
    }
    // Of the other bits nobody knows the meaning: W3C §3.2.2.5 demands to clear them.
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    (parent, span.trace_state().header())
}

/// Returns a context whose span is the remote one that the two values name, or an empty context
/// where they are empty or malformed.
pub fn from_traceparent(traceparent: &str, tracestate: &str) -> Context {
    if DISABLED.load(Ordering::Relaxed) {
        return Context::new();
    }
    parse(traceparent.trim(), tracestate.trim()).map_or_else(Context::new, |span| {
        Context::new().with_remote_span_context(span)
    })
}

/// Writes the context's span into HTTP or gRPC request headers, replacing what is there.
pub fn inject_http(context: &Context, headers: &mut HeaderMap) {
    let (parent, state) = to_traceparent(context);
    for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
        match HeaderValue::try_from(value) {
            Ok(value) if !value.is_empty() => drop(headers.insert(name, value)),
            _ => {}
        }
    }
}

/// Reads the caller's span from HTTP or gRPC request headers; an empty context where there is none.
pub fn extract_http(headers: &HeaderMap) -> Context {
    let value = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    from_traceparent(value(TRACEPARENT), value(TRACESTATE))
}

/// Tells a caller which span answered it.
pub fn inject_response(context: &Context, headers: &mut HeaderMap) {
    let (span, _) = to_traceparent(context);
    match HeaderValue::try_from(span) {
        Ok(value) if !value.is_empty() => drop(headers.insert(TRACERESPONSE, value)),
        _ => {}
    }
}

/// Reads which span answered; an empty context where the service does not tell.
pub fn extract_response(metadata: &MetadataMap) -> Context {
    let value = metadata.get(TRACERESPONSE);
    let value = value.and_then(|value| value.to_str().ok());
    from_traceparent(value.unwrap_or_default(), "")
}

/// Writes the context's span into gRPC metadata, replacing what is there.
pub fn inject_metadata(context: &Context, metadata: &mut MetadataMap) {
    let (parent, state) = to_traceparent(context);
    for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
        match MetadataValue::try_from(value) {
            Ok(value) if !value.is_empty() => drop(metadata.insert(name, value)),
            _ => {}
        }
    }
}

/// Reads the caller's span from gRPC metadata; an empty context where there is none.
pub fn extract_metadata(metadata: &MetadataMap) -> Context {
    let value = |name| {
        metadata
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    from_traceparent(value(TRACEPARENT), value(TRACESTATE))
}

/// Writes the context's span into NATS headers, unless they already name the span that created the
/// message: that one must stay, whoever publishes the message again.
pub fn inject_nats(context: &Context, headers: &mut NatsHeaders) {
    if first_nats_value(headers, TRACEPARENT).is_some() {
        return;
    }
    let (parent, state) = to_traceparent(context);
    for (name, value) in [(TRACEPARENT, parent), (TRACESTATE, state)] {
        match NatsValue::from_str(&value) {
            Ok(checked) if !value.is_empty() => headers.insert(name, checked),
            _ => {}
        }
    }
}

/// Reads the span that created the message, whatever case its publisher wrote the header names in;
/// of repeated headers the first counts.
pub fn extract_nats(headers: &NatsHeaders) -> Context {
    let value = |name| first_nats_value(headers, name).unwrap_or_default();
    from_traceparent(value(TRACEPARENT), value(TRACESTATE))
}

fn first_nats_value<'a>(headers: &'a NatsHeaders, wanted: &str) -> Option<&'a str> {
    // The exact name is the common case; only foreign publishers make the walk necessary.
    headers.get(wanted).map(NatsValue::as_str).or_else(|| {
        let (_, values) = headers
            .iter()
            .find(|(name, _)| AsRef::<str>::as_ref(*name).eq_ignore_ascii_case(wanted))?;
        values.first().map(NatsValue::as_str)
    })
}

/// Reads `version-trace-span-flags` (W3C §3.2).
fn parse(traceparent: &str, tracestate: &str) -> Option<SpanContext> {
    let mut fields = traceparent.split('-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = TraceId::from_hex(hex(fields.next()?, 32)?).ok()?;
    let span_id = SpanId::from_hex(hex(fields.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(fields.next()?, 2)?, 16).ok()?;
    // A later version may have more fields behind the flags; 00 may not, and ff is no version.
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let printable = |state: &&str| state.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let state = Some(tracestate)
        .filter(|state| state.len() <= LONGEST_TRACESTATE)
        .filter(printable);
    let state = state
        .and_then(|state| TraceState::from_str(state).ok())
        .unwrap_or_default();
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    span.is_valid().then_some(span)
}

/// The field if it is lower-case hexadecimal of that length.
fn hex(field: &str, length: usize) -> Option<&str> {
    // `from_hex` and `from_str_radix` alone would take `+1` and `A`.
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (field.len() == length && field.bytes().all(lower)).then_some(field)
}
