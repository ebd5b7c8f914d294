//! Builds the providers that batch spans, log records and metrics and send them to a collector by
//! OTLP/gRPC.

mod if_taken;

use std::{fmt, fs, thread, time::Duration};

use anyhow::Context as _;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLoggerProvider},
    metrics::{PeriodicReader, SdkMeterProvider, reader::MetricReader},
    trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider},
};
use prometheus::Registry;
use tokio::{
    runtime::{Builder, EnterGuard, Handle},
    sync::oneshot,
};
use tonic::transport::{Certificate, ClientTlsConfig};

use super::settings::{Signal, of_signal_or_all, value};
use if_taken::IfTaken;

/// How many spans wait. The SDK's own 2,048 lost nine of ten in a burst of 100,000. Their room is
/// taken as soon as it is made: 368 octets a span, before anything waits.
const SPANS: usize = 24_576;
/// How many log records do.
const LOGS: usize = 4_096;
/// A batch is in memory three times while it is sent: as spans, as messages, and encoded.
const BATCH: usize = 1_024;
const DELAY: Duration = Duration::from_secs(1);

/// A thread with a runtime of its own that drives the connection to the collector.
pub(super) struct Runtime {
    handle: Handle,
    /// Dropped to end the thread.
    _stop: oneshot::Sender<()>,
}

impl Runtime {
    pub(super) fn start() -> anyhow::Result<Self> {
        // The SDK's threads block while they send; the connection needs somebody to poll it
        // meanwhile. Were that the service's own current-thread runtime, a flush at the end would
        // wait for itself and lose everything.
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("no runtime can be made for the OTLP exporter")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("telemetry-export".to_owned())
            .spawn(move || runtime.block_on(async { drop(stopped.await) }))
            .context("no thread can be made for the OTLP exporter")?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Runtime")
    }
}

/// Spans are sampled as `OTEL_TRACES_SAMPLER` says: all of them by default, and always as the
/// parent was.
pub(super) fn traces(
    resource: Resource,
    endpoint: Option<&str>,
) -> anyhow::Result<SdkTracerProvider> {
    let mut exporter = SpanExporter::builder().with_tonic();
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = exporter.with_tls_config(tls(Signal::Traces)?);
    let exporter = IfTaken::new(Signal::Traces, exporter.build().ok().context(UNUSABLE)?);
    // Setters win over the environment, so they are only used where it is silent.
    let mut batch = SpanBatch::default();
    if unset("OTEL_BSP_MAX_QUEUE_SIZE") {
        batch = batch.with_max_queue_size(SPANS);
    }
    if unset("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
        batch = batch.with_max_export_batch_size(BATCH);
    }
    if unset("OTEL_BSP_SCHEDULE_DELAY") {
        batch = batch.with_scheduled_delay(DELAY);
    }
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batch.build())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource)
        .build())
}

/// Log records that the bridge in `super::log` takes from `tracing`.
pub(super) fn logs(resource: Resource) -> anyhow::Result<SdkLoggerProvider> {
    let exporter = LogExporter::builder().with_tonic();
    let exporter = exporter.with_tls_config(tls(Signal::Logs)?).build();
    let exporter = IfTaken::new(Signal::Logs, exporter.ok().context(UNUSABLE)?);
    let mut batch = LogBatch::default();
    if unset("OTEL_BLRP_MAX_QUEUE_SIZE") {
        batch = batch.with_max_queue_size(LOGS);
    }
    if unset("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE") {
        batch = batch.with_max_export_batch_size(BATCH);
    }
    let processor = BatchLogProcessor::builder(exporter)
        .with_batch_config(batch.build())
        .build();
    Ok(SdkLoggerProvider::builder()
        .with_log_processor(processor)
        .with_resource(resource)
        .build())
}

/// Pushes metrics to a collector.
pub(super) fn pushed() -> anyhow::Result<impl MetricReader> {
    let exporter = MetricExporter::builder().with_tonic();
    let exporter = exporter.with_tls_config(tls(Signal::Metrics)?).build();
    let exporter = IfTaken::new(Signal::Metrics, exporter.ok().context(UNUSABLE)?);
    Ok(PeriodicReader::builder(exporter).build())
}

/// Metrics are always kept for `/metrics`, and also pushed where a collector wants them.
pub(super) fn metrics(
    resource: Resource,
    registry: Registry,
    pushed: Option<impl MetricReader>,
) -> anyhow::Result<SdkMeterProvider> {
    let scraped = opentelemetry_prometheus::exporter()
        .with_registry(registry)
        // There is one scope: its labels would stand on every line and tell nothing apart.
        .scope_info_enabled(false)
        .build()?;
    let mut provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(scraped);
    if let Some(pushed) = pushed {
        provider = provider.with_reader(pushed);
    }
    Ok(provider.build())
}

/// Why an exporter cannot be built. The library's own words quote the URL, which may hold a login.
const UNUSABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS or _COMPRESSION, or the same of one \
     signal, cannot be used. Expected is http://HOST:4317 or https://HOST:4317, headers as \
     key=value,… and gzip";

/// For `https://`: trusts the public authorities and whom `OTEL_EXPORTER_OTLP_CERTIFICATE` names.
fn tls(signal: Signal) -> anyhow::Result<ClientTlsConfig> {
    let trusted = ClientTlsConfig::new().with_enabled_roots();
    let Some(file) = of_signal_or_all(signal, "CERTIFICATE") else {
        return Ok(trusted);
    };
    let pem = fs::read(&file).with_context(|| {
        format!("OTEL_EXPORTER_OTLP_CERTIFICATE names {file}, which cannot be read")
    })?;
    Ok(trusted.ca_certificate(Certificate::from_pem(pem)))
}

fn unset(variable: &str) -> bool {
    value(variable).is_none()
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::{logs::SdkLogRecord, trace::SpanData};

    use super::*;

    #[test]
    fn i19_the_rooms_for_what_waits_for_a_collector_are_small_although_they_are_taken_at_once() {
        let rooms = SPANS * size_of::<SpanData>() + LOGS * size_of::<SdkLogRecord>();
        assert!(rooms <= 12 << 20, "{rooms} octets");
    }
}
