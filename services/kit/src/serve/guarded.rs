//! A listener's service as one connection sees it: each call takes room, from its headers until its
//! answer has left.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt as _};

use super::{
    bodies::{Answer, Asked},
    capacity::Place,
    retry_after,
    taken::Kind,
};
use crate::telemetry::grpc::stays_open;

/// When a caller for whom there was no room may come again.
const AGAIN: Duration = Duration::from_secs(1);

/// Cancelled when the caller's connection is to end, by its age or because the service stops;
/// among a request's extensions.
#[derive(Debug, Clone)]
struct Ending(CancellationToken);

/// When a stream is to end so that its connection can: the caller asks anew, by another one. Of a
/// call with one answer, never.
pub fn ending<T>(request: &tonic::Request<T>) -> CancellationToken {
    let ending = request.extensions().get::<Ending>();
    ending.map_or_else(CancellationToken::new, |Ending(token)| token.clone())
}

/// Whether a request is a gRPC call; anything else is a probe, or nothing of ours.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    place: Arc<Place>,
    ending: CancellationToken,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, place: Arc<Place>, ending: CancellationToken) -> Self {
        Self {
            inner,
            place,
            ending,
        }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let kind = match stays_open(request.uri().path()) {
            true => Kind::Stream,
            false => Kind::Call,
        };
        let Ok(begun) = self.place.begin(kind) else {
            let mut refused = retry_after("Too much is asked at once.", AGAIN).into_http();
            if !is_grpc(&request) {
                // Of a gRPC refusal a probe reads the 200.
                *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            return std::future::ready(Ok(refused.map(Answer::refusal))).boxed();
        };
        if kind == Kind::Stream {
            request.extensions_mut().insert(Ending(self.ending.clone()));
        }
        let asking = begun.waits_for_caller();
        let request = request.map(|body| Body::new(Asked::new(body, asking)));
        let answering = self.inner.clone().oneshot(request);
        async move {
            let (head, body) = answering.await?.into_parts();
            let answer = match kind {
                Kind::Stream => Answer::stream(Body::new(body), begun),
                // An answer that broke off has no status to lie about.
                Kind::Call => match Answer::whole(body, begun).await {
                    Ok(answer) => answer,
                    Err(error) => {
                        let status = Status::from_error(error.into());
                        return Ok(status.into_http().map(Answer::refusal));
                    }
                },
            };
            Ok(Response::from_parts(head, answer))
        }
        .boxed()
    }
}
