//! Builds the providers that batch spans, log records and metrics and send them to a collector by
//! OTLP/gRPC.

use std::{env, fmt, thread, time::Duration};

use anyhow::Context as _;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLoggerProvider},
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider},
};
use prometheus::Registry;
use tokio::{
    runtime::{Builder, EnterGuard, Handle},
    sync::oneshot,
};

/// The SDK's own 2,048 lost nine of ten spans in a burst of 100,000.
const QUEUE: usize = 65_536;
const BATCH: usize = 4_096;
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
    let exporter = SpanExporter::builder().with_tonic();
    let exporter = match endpoint {
        Some(endpoint) => exporter.with_endpoint(endpoint).build()?,
        None => exporter.build()?,
    };
    // Setters win over the environment, so they are only used where it is silent.
    let mut batch = SpanBatch::default();
    if unset("OTEL_BSP_MAX_QUEUE_SIZE") {
        batch = batch.with_max_queue_size(QUEUE);
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
    let exporter = LogExporter::builder().with_tonic().build()?;
    let mut batch = LogBatch::default();
    if unset("OTEL_BLRP_MAX_QUEUE_SIZE") {
        batch = batch.with_max_queue_size(QUEUE);
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

/// Metrics are always kept for `/metrics`, and also pushed where a collector wants them.
pub(super) fn metrics(
    resource: Resource,
    registry: Registry,
    pushed: bool,
) -> anyhow::Result<SdkMeterProvider> {
    let scraped = opentelemetry_prometheus::exporter()
        .with_registry(registry)
        // There is one scope: its labels would stand on every line and tell nothing apart.
        .scope_info_enabled(false)
        .build()?;
    let mut provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(scraped);
    if pushed {
        let exporter = MetricExporter::builder().with_tonic().build()?;
        provider = provider.with_reader(PeriodicReader::builder(exporter).build());
    }
    Ok(provider.build())
}

fn unset(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.is_empty()) || env::var(variable).is_err()
}
