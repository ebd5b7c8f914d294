//! The format of a log line, for people or for machines.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::telemetry::settings::LogFormat;

/// The format of our lines: `tracing_subscriber`'s own ones know nothing of OpenTelemetry's
/// context.
pub(super) struct Lines {
    service: &'static str,
    format: LogFormat,
}

impl Lines {
    pub(super) const fn new(service: &'static str, format: LogFormat) -> Self {
        Self { service, format }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = Context::map_current(|context| context.span().span_context().clone());
        match self.format {
            LogFormat::Text => text(&mut writer, event, &fields, &span),
            LogFormat::Json => json(&mut writer, self.service, event, fields, &span),
        }
    }
}

fn text(
    writer: &mut Writer<'_>,
    event: &Event<'_>,
    fields: &Fields,
    span: &SpanContext,
) -> fmt::Result {
    SystemTime.format_time(writer)?;
    write!(
        writer,
        " {:>5} {}: {}",
        event.metadata().level(),
        event.metadata().target(),
        one_line(&fields.message)
    )?;
    for (name, value) in &fields.others {
        match value {
            Value::String(value) => write!(writer, " {name}={}", one_line(value))?,
            value => write!(writer, " {name}={value}")?,
        }
    }
    if span.is_valid() {
        write!(
            writer,
            " trace_id={} span_id={}",
            span.trace_id(),
            span.span_id()
        )?;
    }
    writeln!(writer)
}

fn json(
    writer: &mut Writer<'_>,
    service: &str,
    event: &Event<'_>,
    fields: Fields,
    span: &SpanContext,
) -> fmt::Result {
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    let mut line = serde_json::Map::new();
    let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
    // Fields first: one that is named like a column of ours must not replace it.
    for (name, value) in fields.others {
        put(name, value);
    }
    put("timestamp", time.into());
    put("level", event.metadata().level().as_str().into());
    put("target", event.metadata().target().into());
    put("service", service.into());
    put("message", fields.message.into());
    if span.is_valid() {
        put("trace_id", span.trace_id().to_string().into());
        put("span_id", span.span_id().to_string().into());
    }
    writeln!(writer, "{}", Value::Object(line))
}

/// An event's message and fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<&'static str, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => drop(self.others.insert(name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

fn one_line(value: &str) -> String {
    // Without line breaks and terminal commands: a line must stay a line, and a value must not
    // pretend to be another. JSON escapes them by itself.
    let mut line = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
