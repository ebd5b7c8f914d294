//! The root span of a client command, exported where the running `usher up` exports, and the trace
//! that a service says an answer belongs to: the command's own where the service trusts it, else
//! one that is linked to it. Only that one is worth printing.

use kit::{
    propagation,
    telemetry::{self, LogFormat, TelemetrySettings, span},
};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, TraceContextExt as _},
};
use tonic::{Response, Status};

use crate::exit::Failure;

/// Runs a command under a root span of its own.
pub(crate) async fn under(
    name: &'static str,
    endpoint: Option<String>,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let telemetry = telemetry::init_command("usher", &settings(), endpoint.as_deref())?;
    let root = span::internal(name, &Context::new(), []);
    let outcome = work.with_context(root.clone()).await;
    span::end(&root);
    // The process ends at once after this: spans that are not handed over now are lost.
    telemetry.shutdown().await;
    outcome
}

/// Commands answer by their output; what is logged beside it are warnings.
pub(crate) fn settings() -> TelemetrySettings {
    let log_filter = kit::config::environment("RUST_LOG");
    let log_filter = log_filter.and_then(|filter| filter.into_string().ok());
    TelemetrySettings {
        log_format: LogFormat::Text,
        log_filter: log_filter.unwrap_or_else(|| "warn".to_owned()),
        warnings: Vec::new(),
    }
}

/// Id of the trace that holds this answer, as the service tells it.
pub(crate) fn trace_id<T>(answer: &Result<Response<T>, Status>) -> Option<String> {
    let metadata = match answer {
        Ok(response) => response.metadata(),
        Err(status) => status.metadata(),
    };
    let context = propagation::extract_response(metadata);
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}
