//! What decides about telemetry: flags and variables of ours, and those of OpenTelemetry that its
//! SDK does not read itself; `super::init` acts on them.

use std::env;

/// Migrations tell of every step at every start, and the broker's library of every try to connect:
/// only what goes wrong is of interest, and of the broker `bus` tells it once.
const DEFAULT_FILTER: &str = "info,sea_orm_migration=warn,async_nats=warn";

/// TelemetrySettings of the log; everything about traces and metrics stands in OpenTelemetry's own
/// `OTEL_*` variables.
#[derive(clap::Args, Debug, Clone)]
#[group(skip)] // else clap takes it and any other flattened `TelemetrySettings` for the same group
pub struct TelemetrySettings {
    /// Log lines for people (text) or for machines (json), on standard error
    #[arg(long, env = "USHER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: a level, or `target=level` pairs; never affects traces
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = DEFAULT_FILTER)]
    pub log_filter: String,

    /// Warnings about the settings, told as soon as there is a log.
    #[arg(skip)]
    pub warnings: Vec<String>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: DEFAULT_FILTER.to_owned(),
            warnings: Vec::new(),
        }
    }
}

/// How a log line is written.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level, target, sentence, fields.
    Text,
    /// One JSON object a line.
    Json,
}

/// The signals that leave by OTLP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals {
    pub(super) traces: bool,
    pub(super) metrics: bool,
    pub(super) logs: bool,
}

impl Signals {
    pub(super) const fn any(self) -> bool {
        self.traces || self.metrics || self.logs
    }
}

/// `OTEL_SDK_DISABLED=true` turns traces, metrics and exported logs off; logs on standard error
/// stay.
pub(super) fn is_disabled() -> bool {
    value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// `OTEL_PROPAGATORS` is a list of formats.
pub(super) fn propagates_trace_context() -> bool {
    // Of all that exist we speak `tracecontext`, which is the default.
    value("OTEL_PROPAGATORS")
        .is_none_or(|list| list.split(',').any(|one| one.trim() == "tracecontext"))
}

/// Which signals have somewhere to go: an endpoint, and no `OTEL_<SIGNAL>_EXPORTER=none`.
pub(super) fn exported_signals() -> anyhow::Result<Signals> {
    Ok(Signals {
        traces: exported("TRACES")?,
        metrics: exported("METRICS")?,
        logs: exported("LOGS")?,
    })
}

fn exported(signal: &str) -> anyhow::Result<bool> {
    let of_signal_or_all = |what: &str| {
        value(&format!("OTEL_EXPORTER_OTLP_{signal}_{what}"))
            .or_else(|| value(&format!("OTEL_EXPORTER_OTLP_{what}")))
    };
    let exporter = value(&format!("OTEL_{signal}_EXPORTER"));
    if of_signal_or_all("ENDPOINT").is_none() || exporter.as_deref() == Some("none") {
        return Ok(false);
    }
    let protocol = of_signal_or_all("PROTOCOL").unwrap_or_else(|| "grpc".to_owned());
    // Refused, because the exporter would speak gRPC all the same, and nothing would arrive.
    anyhow::ensure!(
        protocol == "grpc",
        "OTEL_EXPORTER_OTLP_PROTOCOL is {protocol:?}, but only \"grpc\" is spoken here (port 4317 of most collectors)"
    );
    Ok(true)
}

/// An empty variable counts as unset, as OpenTelemetry's specification demands.
fn value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
