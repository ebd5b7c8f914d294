//! The admin listener: probes and metrics for everybody on the network, gRPC for operators with a
//! token. A call of the public listener that is not for everybody asks for the same token.

use std::{path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, metadata::AsciiMetadataValue, service::Routes};
use tower::util::MapResponseLayer;

use super::{
    Health,
    capacity::Capacity,
    guarded::is_grpc,
    listener::{self, Versions},
    refused,
    size::explain_size,
};
use crate::{
    Private,
    files::{Custody, FileRefused},
    random, telemetry,
};

/// The operators' secret; never printed.
#[derive(Debug, Clone)]
pub struct AdminToken(Private<String>);

impl AdminToken {
    /// Reads the token from its file, which is made with a new token, mode 0600, if it is missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, others may read it, or what it holds is no token.
    pub fn read_or_make(path: &Path) -> Result<Self, FileRefused> {
        Self::read(path, Custody::Ours)
    }

    /// The same, made only where that is ours to do.
    ///
    /// # Errors
    /// As `read_or_make`; and when it is missing, in the custody of operators.
    pub fn read(path: &Path, custody: Custody) -> Result<Self, FileRefused> {
        const WHAT: &str = "The admin token";
        let text = custody.read(path, WHAT, random::secret)?;
        let token = text.trim();
        let is_printable = token.bytes().all(|byte| byte.is_ascii_graphic());
        // With such a one nobody could operate the service, and each command would blame its own.
        let why = match token.is_empty() {
            true => "it is empty",
            false if !is_printable => "it is not one word of printable characters",
            false => return Ok(Self(token.to_owned().into())),
        };
        Err(FileRefused::makes_no_sense(WHAT, path, &why))
    }

    /// What a service says that calls another one as an operator: the value of `authorization`. Never
    /// printed either.
    pub fn bearer(&self) -> AsciiMetadataValue {
        // Read from a file and checked: it is printable.
        let bearer = AsciiMetadataValue::try_from(format!("Bearer {}", self.0.expose()));
        let mut bearer = bearer.unwrap_or_else(|_| AsciiMetadataValue::from_static(""));
        bearer.set_sensitive(true);
        bearer
    }

    /// Lets whoever shows it pass.
    ///
    /// # Errors
    /// UNAUTHENTICATED for everybody else.
    pub fn check(&self, metadata: &HeaderMap) -> Result<(), Status> {
        let header = metadata.get("authorization");
        let given = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        // In constant time: how long a comparison takes must not tell how much of a guess is right.
        if given.as_bytes().ct_eq(self.0.expose().as_bytes()).into() {
            return Ok(());
        }
        let message = "The metadata `authorization: Bearer <admin token>` is missing or wrong.";
        Err(refused(
            Code::Unauthenticated,
            message,
            "ADMIN_TOKEN_REQUIRED",
        ))
    }
}

/// Serves until `stop`: longer than the public listener, so that probes see a service drain.
pub(super) async fn serve(
    listener: Arc<TcpListener>,
    capacity: Capacity,
    operators: Routes,
    token: AdminToken,
    health: Health,
    stop: CancellationToken,
) {
    let operators = operators
        .prepare()
        .into_axum_router()
        .layer(MapResponseLayer::new(explain_size))
        .layer(from_fn_with_state(token, check));
    let app = probes()
        .route("/readyz", get(readyz).with_state(health))
        .merge(operators);
    listener::serve(listener, capacity, Versions::Both, app, stop).await;
}

/// What everybody is answered who may ask, whether the service has begun or not.
pub(super) fn probes() -> Router {
    Router::new()
        // Both depend on nothing: a restart would mend neither a database nor a broker. Whoever
        // waits for the start of a service waits for its listeners, and asks `/readyz` from then on.
        .route("/livez", get(async || "alive\n"))
        .route("/startupz", get(async || "started\n"))
        .route("/metrics", get(async || telemetry::metrics_text()))
}

/// A gRPC refusal has HTTP status 200: a probe of a wrong path would be content for ever.
pub(super) fn not_found() -> Response {
    let there_is = "Not found. There are /livez, /startupz, /readyz and /metrics, and gRPC with the admin token.\n";
    (StatusCode::NOT_FOUND, there_is).into_response()
}

async fn check(State(token): State<AdminToken>, request: Request, next: Next) -> Response {
    if !is_grpc(&request) {
        return not_found();
    }
    match token.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_http::<axum::body::Body>().into_response(),
    }
}

/// 200 when ready and 503 when not; the body says why, and which dependencies are away in either
/// case.
async fn readyz(State(health): State<Health>) -> Response {
    let report = health.check().await;
    let code = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(report)).into_response()
}
