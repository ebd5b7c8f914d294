//! Says which process telemetry comes from; every span, metric and log record carries it.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::{
        EnvResourceDetector, ResourceDetector as _, SdkProvidedResourceDetector,
        TelemetryResourceDetector,
    },
};
use uuid::Uuid;

use super::names;

/// The service's name and version and an instance id that is new at every start.
pub(super) fn detect(service: &'static str) -> Resource {
    let environment = EnvResourceDetector::new().detect();
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || environment
            .get(&Key::from_static_str(names::SERVICE_NAME))
            .is_some();
    // The environment comes last and wins over all of them: in Kubernetes the chart knows better.
    let ours = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new(names::SERVICE_NAME, service),
            KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            KeyValue::new(names::SERVICE_INSTANCE_ID, Uuid::new_v4().to_string()),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()));
    // The SDK's own detector falls back to `unknown_service`, which would hide our name.
    if named {
        ours.with_detector(Box::new(SdkProvidedResourceDetector))
            .build()
    } else {
        ours.build()
    }
}
