//! What is answered over HTTP: the API under `/api/v1`, the page, and probes. Nothing of a mail is ever run:
//! `headers` sees to that for every answer.

mod answers;
mod headers;
mod mails;
mod page;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    middleware::map_response,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{smtp::Login, store::Store};

pub(crate) fn router(store: Store, login: Option<Login>, stop: CancellationToken) -> Router {
    let readiness = Readiness {
        store: store.clone(),
        login,
        stop,
    };
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz).with_state(readiness))
        .nest("/api/v1", mails::router(store.clone()))
        .merge(page::router(store))
        .fallback(async || {
            answers::not_found("There is nothing here; / is the page, /api/v1/mails the API.")
        })
        .layer(map_response(headers::guard))
}

#[derive(Debug, Clone)]
struct Readiness {
    store: Store,
    login: Option<Login>,
    stop: CancellationToken,
}

#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    mails: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// 200 while mails are taken, else 503 and why. A full disk is told to each sender, by 452.
async fn readyz(State(readiness): State<Readiness>) -> Response {
    let why = readiness.why_not().await;
    let report = Report {
        ready: why.is_none(),
        mails: readiness.store.count(),
        why,
    };
    let status = match report.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

impl Readiness {
    async fn why_not(&self) -> Option<String> {
        if self.stop.is_cancelled() {
            return Some("The mailbox stops.".to_owned());
        }
        let error = self.login.as_ref()?.check().await.err()?;
        Some(format!("Nobody can log in to send a mail: {error:#}"))
    }
}
