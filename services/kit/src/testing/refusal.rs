//! What a refused caller reads in a status.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// All of it, for a snapshot: code, message, details.
pub fn shown(status: &Status) -> String {
    let mut lines = vec![format!("{:?}: {}", status.code(), status.message())];
    let details = status.get_error_details();
    let refused = details.bad_request().into_iter();
    for violation in refused.flat_map(|bad| &bad.field_violations) {
        lines.push(format!("  {}: {}", violation.field, violation.description));
    }
    if let Some(info) = details.error_info() {
        lines.push(format!("  reason {} of {}", info.reason, info.domain));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        lines.push(format!("  retry after {delay:?}"));
    }
    lines.join("\n")
}

/// The refused fields.
///
/// # Panics
/// When it is no refusal of fields.
pub fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let bad = details.bad_request().expect("a refusal names its fields");
    let violations = bad.field_violations.iter();
    violations.map(|it| it.field.clone()).collect()
}

/// The reason that programs compare.
///
/// # Panics
/// When it has none.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("a refusal has a reason");
    info.reason.clone()
}

/// How long a caller who came too often is to wait.
///
/// # Panics
/// When it is no such refusal.
pub fn retry_after(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    delay.expect("a refusal says when to come again")
}
