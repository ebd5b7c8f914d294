//! Writes log lines with the ids of the trace they belong to on standard error, and hands them to OTLP too.

use std::{collections::BTreeMap, fmt, fmt::Write as _};

use anyhow::Context as _;
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        layer,
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use super::settings::{LogFormat, Settings};

/// The SDK tells about itself at INFO; only its complaints are of interest.
const QUIET: [&str; 4] = [
    "opentelemetry=warn",
    "opentelemetry_sdk=warn",
    "opentelemetry-otlp=warn",
    "opentelemetry-prometheus=warn",
];

/// What sending log records by OTLP may itself log: fed back, each export would cause the next one.
const FEEDBACK: [&str; 8] = [
    "opentelemetry=off",
    "opentelemetry_sdk=off",
    "opentelemetry-otlp=off",
    "tonic=off",
    "tower=off",
    "h2=off",
    "hyper=off",
    "hyper_util=off",
];

/// Installs the process' log. Each destination has a filter of its own; traces have none.
pub(super) fn start(
    service: &'static str,
    settings: &Settings,
    exported: Option<&SdkLoggerProvider>,
) -> anyhow::Result<()> {
    let lines = Lines { service, format: settings.log_format };
    // One `write` a line: threads do not mix their lines, and a supervisor can read them one by one.
    let console = layer().with_writer(std::io::stderr).event_format(lines);
    let console = console.with_filter(filter(&settings.log_filter, &QUIET)?);
    let exported = exported.map(OpenTelemetryTracingBridge::new);
    let exported =
        exported.map(|bridge| filter(&settings.log_filter, &FEEDBACK).map(|own| bridge.with_filter(own)));
    tracing_subscriber::registry()
        .with(console)
        .with(exported.transpose()?)
        .try_init()
        .context("a log is installed already in this process")
}

/// The operator's filter, then what always holds: of two directives for one target the later one counts.
fn filter(wanted: &str, always: &[&str]) -> anyhow::Result<EnvFilter> {
    let mut filter = EnvFilter::try_new(wanted).with_context(|| {
        format!("RUST_LOG is {wanted:?}, expected a level (error, warn, info, debug, trace, off) or `target=level` pairs")
    })?;
    for directive in always {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}

/// The format of our lines: `tracing_subscriber`'s own ones know nothing of OpenTelemetry's context.
struct Lines {
    service: &'static str,
    format: LogFormat,
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

fn text(writer: &mut Writer<'_>, event: &Event<'_>, fields: &Fields, span: &SpanContext) -> fmt::Result {
    SystemTime.format_time(writer)?;
    write!(writer, " {:>5} {}: {}", event.metadata().level(), event.metadata().target(), fields.message)?;
    for (name, value) in &fields.others {
        match value {
            Value::String(value) => write!(writer, " {name}={value}")?,
            value => write!(writer, " {name}={value}")?,
        }
    }
    if span.is_valid() {
        write!(writer, " trace_id={} span_id={}", span.trace_id(), span.span_id())?;
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

/// An event's message and fields, without line breaks and terminal commands: a line must stay a line.
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
        self.put(field, one_line(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, one_line(&format!("{value:?}")).into());
    }
}

fn one_line(value: &str) -> String {
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
