//! An exporter that hears what the collector says: a signal that it does not know is not offered
//! again, and a collector that is away is told of once. The SDK would say either at every export.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use opentelemetry::logs::Severity;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

use crate::telemetry::settings::Signal;

#[derive(Debug)]
pub(super) struct IfTaken<E> {
    exporter: E,
    signal: Signal,
    is_refused: AtomicBool,
    is_away: AtomicBool,
}

impl<E> IfTaken<E> {
    pub(super) const fn new(signal: Signal, exporter: E) -> Self {
        Self {
            exporter,
            signal,
            is_refused: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
        }
    }

    fn is_refused(&self) -> bool {
        self.is_refused.load(Relaxed)
    }

    /// Answers for the SDK, which would log an error: it is told here.
    fn note(&self, outcome: OTelSdkResult) -> OTelSdkResult {
        let signal = self.signal.name();
        match outcome {
            Ok(()) => {
                if self.is_away.swap(false, Relaxed) {
                    tracing::info!("The collector takes {signal} again.");
                }
            }
            Err(OTelSdkError::AlreadyShutdown) => {}
            // What the exporter says of a status is its code alone.
            Err(error) if error.to_string().contains("Unimplemented") => {
                self.is_refused.store(true, Relaxed);
                let switch = self.signal.switch();
                tracing::warn!(
                    "The collector takes no {signal}: none are sent until the next start. \
                     {switch}=none says so beforehand."
                );
            }
            Err(error) => {
                if !self.is_away.swap(true, Relaxed) {
                    tracing::warn!(
                        %error,
                        "The collector does not take {signal}: they are lost until it does. \
                         Compare OTEL_EXPORTER_OTLP_ENDPOINT with where it listens."
                    );
                }
            }
        }
        Ok(())
    }
}

impl<E: SpanExporter> SpanExporter for IfTaken<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self.is_refused() {
            true => Ok(()),
            false => self.note(self.exporter.export(batch).await),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for IfTaken<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        match self.is_refused() {
            true => Ok(()),
            false => self.note(self.exporter.export(batch).await),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        !self.is_refused() && self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for IfTaken<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        match self.is_refused() {
            true => Ok(()),
            false => self.note(self.exporter.export(metrics).await),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
