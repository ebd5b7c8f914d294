//! Asks a service on its admin listener how it is; `system` waits for the answer at the start.

use crate::http;

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Ready, and nothing that it needs is away: the first sign-up meets a system that is warm.
    Warm,
    /// Ready; something that it can do without for a while is away.
    Degraded,
    /// Not yet, or not any more.
    Not,
}

/// Asks it.
pub(super) async fn ask(admin_url: &str) -> Readiness {
    let Ok(reply) = http::get(admin_url, "/readyz").await else {
        return Readiness::Not;
    };
    let report: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    match reply.status {
        200 if report["degraded"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty) =>
        {
            Readiness::Warm
        }
        200 => Readiness::Degraded,
        _ => Readiness::Not,
    }
}
