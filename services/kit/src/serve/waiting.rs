//! Before a service can begin: its listeners answer already, probes with what it lacks and callers
//! with UNAVAILABLE, until it has its secrets. A process that ended instead would be started again
//! and again, after longer and longer pauses, and tell less.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Server, admin,
    guarded::is_grpc,
    health::Report,
    listener::{self, Versions},
    secrets::Lacking,
    told::Told,
    unavailable_here,
};
use crate::{
    Seldom,
    clock::{Clock, Timestamp},
};

/// How often it is looked again, and when callers may come again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the log repeats what is still missing.
const TOLD_AGAIN: Duration = Duration::from_secs(300);
/// How long probes that are under way may take to get their last answer.
const GOODBYE: Duration = Duration::from_millis(250);

/// What is told meanwhile. Clones share it.
#[derive(Debug, Clone)]
struct Waiting {
    lacking: Arc<Mutex<Lacking>>,
    means: &'static str,
    since: Timestamp,
    clock: Clock,
}

impl Server {
    /// What `look` finds, once that is everything; it is `lacking` something now. `means` says what
    /// people who sign up notice until then.
    ///
    /// # Errors
    /// What `look` says, unless it is what a service waits for.
    pub(super) async fn until_found<T: Send + 'static>(
        &self,
        lacking: Lacking,
        means: &'static str,
        clock: &Clock,
        look: impl Fn() -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<T> {
        tracing::info!(listen = %self.addr, admin = %self.admin_addr, "Listening.");
        let waiting = Waiting {
            lacking: Arc::new(Mutex::new(lacking)),
            means,
            since: clock.now(),
            clock: clock.clone(),
        };
        let stop = CancellationToken::new();
        let looking = async {
            let found = waiting.look_again(Arc::new(look)).await;
            stop.cancel();
            found
        };
        let ((), found) = tokio::join!(self.answer(&waiting, &stop), looking);
        found
    }

    /// Answers on both listeners until `stop`; they stay open.
    async fn answer(&self, waiting: &Waiting, stop: &CancellationToken) {
        let (listener, capacity) = self.public.clone();
        let refusing = Router::new().fallback(async || not_begun());
        let versions = Versions::Http2;
        let public = listener::serve(listener, capacity, versions, refusing, stop.clone());
        let (listener, capacity) = self.admin.clone();
        let probes = admin::probes()
            .route("/readyz", get(readyz).with_state(waiting.clone()))
            .fallback(refuse);
        let versions = Versions::Both;
        let admin = listener::serve(listener, capacity, versions, probes, stop.clone());
        let mut both = pin!(futures::future::join(public, admin));
        tokio::select! {
            _ = &mut both => {}
            () = stop.cancelled() => {
                let _ = timeout(GOODBYE, both).await;
            }
        }
    }
}

impl Waiting {
    async fn look_again<T: Send + 'static>(
        &self,
        look: Arc<impl Fn() -> anyhow::Result<T> + Send + Sync + 'static>,
    ) -> anyhow::Result<T> {
        let mut told = Seldom::default();
        loop {
            let lacking = self.lacking().clone();
            if told.is_due(&lacking, TOLD_AGAIN) {
                let Lacking { reason, advice } = &lacking;
                tracing::error!(advice, "The service cannot begin yet: {reason}.");
            }
            sleep(AGAIN).await;
            let look = Arc::clone(&look);
            // In a thread of its own: a file system that hangs must not keep probes waiting.
            let looked = spawn_blocking(move || look()).await;
            match looked.context("A look for secrets panicked; the log says why.")? {
                Ok(found) => {
                    tracing::info!("Nothing is missing any more; the service begins.");
                    return Ok(found);
                }
                Err(error) => *self.lacking() = error.downcast::<Lacking>()?,
            }
        }
    }

    fn lacking(&self) -> MutexGuard<'_, Lacking> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn readyz(State(waiting): State<Waiting>) -> Response {
    let Lacking { reason, advice } = waiting.lacking().clone();
    let told = Told {
        reason: format!("it cannot begin: {reason}"),
        since: waiting.since.to_string(),
        means: waiting.means.to_owned(),
        advice,
    };
    let report = Report::not_ready(told, waiting.clock.now());
    (StatusCode::SERVICE_UNAVAILABLE, Json(report)).into_response()
}

async fn refuse(request: Request) -> Response {
    match is_grpc(&request) {
        true => not_begun(),
        false => admin::not_found(),
    }
}

fn not_begun() -> Response {
    let message = "This service has not begun yet; its operators are told why.";
    let status = unavailable_here(message, "NOT_BEGUN", AGAIN);
    status.into_http::<axum::body::Body>()
}
