//! Traces, metrics and logs of a process: `main` starts them here, everything else records through
//! `span`, `grpc` and `meter`, and what is recorded leaves by OTLP, `/metrics` and the log on
//! standard error.
//!
//! **Who does what.** Edge spans (server, client, create, publish, process, deliver, SMTP) are made
//! with [`span`] and [`grpc`], on OpenTelemetry's API and never by `tracing` macros: so a log
//! filter cannot touch a trace, and with `RUST_LOG=off` it is whole. Log lines are `tracing`
//! events; each carries the trace and span id of the context it was written under.
//!
//! **Metrics.** Whoever can measure a thing owns its instrument: create it once, when the component
//! is built, from [`meter`], under a name in [`names`], with seconds or `{things}` as the unit, and
//! record into it for ever. Instruments made before [`init`] record nothing, so `main` starts
//! telemetry first. Values that can only be asked for (queue lengths, ages) are observable gauges
//! whose callback reads an atomic; it must not block. Attributes come from small closed sets, never
//! from an id.
//!
//! **Nothing here holds** an e-mail address, a code or a secret: not in a name, an attribute, a
//! link or a line.
//!
//! A process that never calls [`init`], as tests do, records nothing and still passes trace
//! contexts on.

mod export;
pub mod grpc;
mod log;
pub mod names;
mod resource;
mod settings;
pub mod span;

use std::{sync::OnceLock, thread, time::Duration};

use opentelemetry::{
    global,
    metrics::{Histogram, Meter},
};
use opentelemetry_sdk::{
    logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider,
};
use prometheus::{Registry, TextEncoder};
use tokio::sync::oneshot;

pub use settings::{LogFormat, TelemetrySettings};

use crate::write_behind::LastLines;
use settings::{NotExported, Signal};

/// How long [`Telemetry::shutdown`] may wait for the collector. The log's last lines have 0.3 s more.
const SHUTDOWN: Duration = Duration::from_millis(1_200);

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// The running telemetry of this process; hand it to [`Telemetry::shutdown`] when everything else
/// has stopped.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// Drives the connection to the collector; must outlive the last flush.
    exports: Option<export::Runtime>,
    /// Of the log on standard error.
    last_lines: Option<LastLines>,
}

/// Starts logs, traces and metrics of the process under the name `service`. Call it once, first
/// thing in `main`, inside or outside of a runtime.
///
/// Traces, metrics and logs leave by OTLP/gRPC when `OTEL_EXPORTER_OTLP_ENDPOINT` (or a signal's
/// own variable) is set; without one, log lines still tell by their trace ids what belongs
/// together. `OTEL_SDK_DISABLED` and `OTEL_PROPAGATORS` are read here because the SDK does not know
/// them.
///
/// What of it cannot be used, as an endpoint that is none, is off and told of in the log: telemetry
/// stops no service.
///
/// # Errors
/// When the log filter cannot be used, or telemetry runs already.
pub fn init(service: &'static str, settings: &TelemetrySettings) -> anyhow::Result<Telemetry> {
    let telemetry = begin(service, settings, None)?;
    if telemetry.traces.is_none() && !settings::is_disabled() {
        span::make_ids();
    }
    Ok(telemetry)
}

/// The same for a command, whose spans go to `endpoint` if it knows one. A command that exports no
/// spans makes none and sends no trace along: the service that answers begins the journey and tells
/// its id.
///
/// # Errors
/// As `init`.
pub fn init_command(
    name: &'static str,
    settings: &TelemetrySettings,
    endpoint: Option<&str>,
) -> anyhow::Result<Telemetry> {
    begin(name, settings, endpoint)
}

fn begin(
    service: &'static str,
    settings: &TelemetrySettings,
    endpoint: Option<&str>,
) -> anyhow::Result<Telemetry> {
    // Before anything may start a span, whose context would travel.
    if !settings::propagates_trace_context() {
        crate::propagation::disable();
    }
    let (mut telemetry, not_exported) = if settings::is_disabled() {
        (Telemetry::none(), NotExported::default())
    } else {
        start(service, endpoint)?
    };
    let logs = telemetry.logs.as_ref();
    telemetry.last_lines = Some(log::start(service, settings, logs, &meter())?);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    not_exported.tell();
    Ok(telemetry)
}

/// Makes the instruments of this process; see the module's text for the contract.
pub fn meter() -> Meter {
    global::meter_with_scope(names::scope())
}

/// A histogram of seconds with the bounds that the conventions advise.
pub fn durations(name: &'static str, description: &'static str) -> Histogram<f64> {
    let meter = meter();
    let histogram = meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description);
    histogram
        .with_boundaries(names::DURATION_BOUNDS.to_vec())
        .build()
}

/// All metrics of this process in Prometheus' text format; empty before [`init`].
pub fn metrics_text() -> String {
    let families = REGISTRY.get().map(Registry::gather).unwrap_or_default();
    TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_default()
}

impl Telemetry {
    /// Sends what is left: traces, then logs (they may tell about the traces), metrics last.
    /// Returns within a second and a half even when the collector is away or nobody reads the log;
    /// what could not be sent by then is lost.
    pub async fn shutdown(mut self) {
        let last_lines = self.last_lines.take();
        let (done, finished) = oneshot::channel();
        // A thread of its own, not the blocking pool: the SDK's calls block, and a runtime would
        // wait at its own end for a pool thread that waits for a dead collector.
        let flushing = thread::Builder::new()
            .name("telemetry-flush".to_owned())
            .spawn(move || {
                self.flush();
                let _ = done.send(());
            });
        // Not joined: a thread that waits for a dead collector ends with the process.
        if flushing.is_ok() {
            let _ = tokio::time::timeout(SHUTDOWN, finished).await;
        }
        // After the exporters, which complain in the log.
        drop(last_lines);
    }

    fn flush(self) {
        // Their errors are logged by the SDK; a caller on its way out can do nothing about them.
        // A share for each: a collector that is away must not let the first take the time of all.
        let share = SHUTDOWN / 3;
        if let Some(traces) = self.traces {
            let _ = traces.shutdown_with_timeout(share);
        }
        if let Some(logs) = self.logs {
            let _ = logs.shutdown_with_timeout(share);
        }
        if let Some(metrics) = self.metrics {
            let _ = metrics.shutdown_with_timeout(share);
        }
        // Last: it drives the connection over which the three above have just sent.
        drop(self.exports);
    }

    const fn none() -> Self {
        Self {
            traces: None,
            logs: None,
            metrics: None,
            exports: None,
            last_lines: None,
        }
    }
}

fn start(
    service: &'static str,
    endpoint: Option<&str>,
) -> anyhow::Result<(Telemetry, NotExported)> {
    let registry = Registry::new();
    anyhow::ensure!(
        REGISTRY.set(registry.clone()).is_ok(),
        "telemetry runs already in this process"
    );
    let resource = resource::detect(service);
    let mut not_exported = NotExported::default();
    let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs].map(|signal| {
        let wanted = not_exported.unless(signal, settings::is_exported(signal));
        wanted.unwrap_or(false)
    });
    let traces = traces || endpoint.is_some();
    let exports = (traces || metrics || logs).then(export::Runtime::start);
    let exports = exports.transpose()?;
    // Exporters connect in the background, on the runtime that is entered while they are built.
    let entered = exports.as_ref().map(export::Runtime::enter);
    let pushed = metrics.then(export::pushed);
    let pushed = pushed.and_then(|made| not_exported.unless(Signal::Metrics, made));
    let metrics = export::metrics(resource.clone(), registry, pushed)?;
    let logs = logs.then(|| export::logs(resource.clone()));
    let logs = logs.and_then(|made| not_exported.unless(Signal::Logs, made));
    let traces = traces.then(|| export::traces(resource, endpoint));
    let traces = traces.and_then(|made| not_exported.unless(Signal::Traces, made));
    drop(entered);
    global::set_meter_provider(metrics.clone());
    if let Some(traces) = &traces {
        span::record(traces);
    }
    let telemetry = Telemetry {
        traces,
        logs,
        metrics: Some(metrics),
        exports,
        last_lines: None,
    };
    Ok((telemetry, not_exported))
}
