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

/// What can leave by OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The variable that keeps it in the process, as `none`.
    pub(super) const fn switch(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        }
    }
}

/// Signals that should leave and cannot, each with its reason: no service stops for them.
#[derive(Debug, Default)]
pub(super) struct NotExported(Vec<(Signal, String)>);

impl NotExported {
    /// What was made, unless it was not.
    pub(super) fn unless<T>(&mut self, signal: Signal, made: anyhow::Result<T>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(why) => {
                self.0.push((signal, format!("{why:#}")));
                None
            }
        }
    }

    /// Says it in the log, each reason once.
    pub(super) fn tell(mut self) {
        self.0.sort_by_key(|(signal, _)| *signal as u8);
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        for (signal, why) in self.0 {
            match told.iter_mut().find(|(other, _)| *other == why) {
                Some((_, signals)) => signals.push(signal.name()),
                None => told.push((why, vec![signal.name()])),
            }
        }
        for (why, signals) in told {
            tracing::warn!(
                "Not exported until the next start: {}. {why}.",
                signals.join(", ")
            );
        }
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

/// Whether a signal has somewhere to go: an endpoint, and no `OTEL_<SIGNAL>_EXPORTER=none`.
///
/// # Errors
/// When it is to go there by what is not spoken here.
pub(super) fn is_exported(signal: Signal) -> anyhow::Result<bool> {
    let exporter = value(signal.switch());
    if of_signal_or_all(signal, "ENDPOINT").is_none() || exporter.as_deref() == Some("none") {
        return Ok(false);
    }
    let protocol = of_signal_or_all(signal, "PROTOCOL").unwrap_or_else(|| "grpc".to_owned());
    // The exporter would speak gRPC all the same, and nothing would arrive.
    anyhow::ensure!(
        protocol == "grpc",
        "OTEL_EXPORTER_OTLP_PROTOCOL is {protocol:?}, but only \"grpc\" is spoken here, which most \
         collectors take on port 4317"
    );
    Ok(true)
}

/// `OTEL_EXPORTER_OTLP_<SIGNAL>_<WHAT>`, else the same of all signals.
pub(super) fn of_signal_or_all(signal: Signal, what: &str) -> Option<String> {
    let name = signal.name().to_uppercase();
    value(&format!("OTEL_EXPORTER_OTLP_{name}_{what}"))
        .or_else(|| value(&format!("OTEL_EXPORTER_OTLP_{what}")))
}

/// An empty variable counts as unset, as OpenTelemetry's specification demands.
pub(super) fn value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
