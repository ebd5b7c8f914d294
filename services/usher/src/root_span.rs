//! The root span of a client command, so that a journey begins at its caller; it is exported where
//! the running `usher up` exports.

use kit::telemetry::{self, LogFormat, TelemetrySettings, span};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, TraceContextExt as _},
};

use crate::exit::Failure;

/// Runs a command under a root span of its own.
pub(crate) async fn under(
    name: &'static str,
    endpoint: Option<String>,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let telemetry = telemetry::init("usher", &settings(endpoint))?;
    let root = span::internal(name, &Context::new(), []);
    let outcome = work.with_context(root.clone()).await;
    span::end(&root);
    // The process ends at once after this: spans that are not handed over now are lost.
    telemetry.shutdown().await;
    outcome
}

/// Commands answer by their output; what is logged beside it are warnings.
pub(crate) fn settings(endpoint: Option<String>) -> TelemetrySettings {
    let log_filter = kit::config::environment("RUST_LOG");
    let log_filter = log_filter.and_then(|filter| filter.into_string().ok());
    TelemetrySettings {
        log_format: LogFormat::Text,
        log_filter: log_filter.unwrap_or_else(|| "warn".to_owned()),
        endpoint,
        warnings: Vec::new(),
    }
}

/// Id of the trace that this command's calls belong to; `None` when it is not exported.
pub(crate) fn trace_id() -> Option<String> {
    let context = Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}
