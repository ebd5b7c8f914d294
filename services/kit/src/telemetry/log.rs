//! Writes log lines with the ids of the trace they belong to on standard error, and hands them to
//! OTLP too. Neither is waited for: both have a bounded queue and a thread of their own.

mod console;
mod lines;
mod panics;

use anyhow::Context as _;
use opentelemetry::metrics::Meter;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt::layer,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::settings::TelemetrySettings;
use crate::{config::RefusedSetting, write_behind::LastLines};
use lines::Lines;

/// The SDK tells about itself at INFO; only its complaints are of interest. A panic is told of even
/// where the log is off.
const QUIET: [&str; 5] = [
    panics::ALWAYS,
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

/// Installs the process' log. Each destination has a filter of its own; traces have none. Drop what
/// is returned to wait for the last lines.
pub(super) fn start(
    service: &'static str,
    settings: &TelemetrySettings,
    exported: Option<&SdkLoggerProvider>,
    meter: &Meter,
) -> anyhow::Result<LastLines> {
    let lines = Lines::new(service, settings.log_format);
    // One `write` a line: threads do not mix their lines, and a supervisor can read them one by
    // one.
    let (writer, last_lines) = console::console(meter);
    let console = layer().with_writer(writer).event_format(lines);
    // As fine as there are levels, said aloud: else `and` tells of no limit, and each request and
    // frame makes spans of h2, hyper and tower that no destination wants.
    let is_to_be_told = filter_fn(is_to_be_told).with_max_level_hint(LevelFilter::TRACE);
    let wanted = filter(&settings.log_filter, &QUIET)?;
    let console = console.with_filter(wanted.and(is_to_be_told.clone()));
    let exported = exported.map(|provider| {
        let bridge = OpenTelemetryTracingBridge::new(provider);
        anyhow::Ok(bridge.with_filter(filter(&settings.log_filter, &FEEDBACK)?.and(is_to_be_told)))
    });
    tracing_subscriber::registry()
        .with(console)
        .with(exported.transpose()?)
        .try_init()
        .context("a log is installed already in this process")?;
    panics::log_them();
    Ok(last_lines)
}

/// Who may write TRACE lines: we, and libraries whose lines tell of frames and connections but not
/// what is in them. Of all others such lines are not written, whatever `RUST_LOG` says: async-nats,
/// for one, prints messages whole, with the addresses in them, and the login that it sends. A test
/// runs everything at TRACE and looks for what may not be seen (`i16_no_password_…`).
const MAY_TRACE: [&str; 11] = [
    "accounts",
    "h2",
    "hyper",
    "hyper_util",
    "kit",
    "mailer",
    "panic",
    "tonic",
    "tower",
    "usher",
    "verification",
];

/// Whatever `RUST_LOG` says. `export` tells of a collector that refuses or is away, once and for
/// people; the exporter itself would at every try.
fn is_to_be_told(line: &Metadata<'_>) -> bool {
    tells_no_payload(line) && !line.name().starts_with("Export.Failed.")
}

fn tells_no_payload(line: &Metadata<'_>) -> bool {
    let whose = line.target().split("::").next().unwrap_or_default();
    *line.level() != Level::TRACE || MAY_TRACE.contains(&whose)
}

/// The operator's filter, then what always holds.
fn filter(wanted: &str, always: &[&str]) -> anyhow::Result<EnvFilter> {
    let mut filter = EnvFilter::try_new(wanted).map_err(|error| {
        RefusedSetting(format!(
            "RUST_LOG is {wanted:?}, expected a level (error, warn, info, debug, trace, off) or `target=level` pairs: {error}."
        ))
    })?;
    // Added last: of two directives for one target the later one counts.
    for directive in always {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}
