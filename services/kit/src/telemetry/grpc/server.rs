//! Around a tonic server: continues the caller's trace with a SERVER span and measures how long
//! answers take.

use std::task::{Context as Task, Poll};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use opentelemetry::{KeyValue, metrics::Histogram, trace::FutureExt as _};
use tonic::Code;
use tower::{Layer, Service};

use super::{
    body::MeasuredBody,
    call::{Call, Side},
    methods,
};
use crate::{
    propagation,
    telemetry::{self, names, span},
};

/// Puts [`MeasuredServer`] around a service.
#[derive(Debug, Clone)]
pub struct ServerLayer {
    duration: Histogram<f64>,
}

impl Default for ServerLayer {
    fn default() -> Self {
        let what = "Time from a request to its status.";
        Self {
            duration: telemetry::durations(names::RPC_SERVER_CALL_DURATION, what),
        }
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = MeasuredServer<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MeasuredServer {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service whose calls are traced and measured.
#[derive(Debug, Clone)]
pub struct MeasuredServer<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, B, R> Service<Request<B>> for MeasuredServer<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<MeasuredBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(method) = methods::recorded(request.uri().path()) else {
            let answer = self.inner.call(request);
            return async { Ok(answer.await?.map(|body| MeasuredBody::new(body, None))) }.boxed();
        };
        let attributes = vec![
            KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
            KeyValue::new(names::RPC_METHOD, method),
        ];
        let parent = propagation::extract_http(request.headers());
        let context = span::server(method, &parent, attributes.iter().cloned());
        let mut call = Call::begin(
            context.clone(),
            Side::Server,
            attributes,
            self.layer.duration.clone(),
        );
        // The handler's first part runs in `call` itself, before a future could carry the context.
        let attached = context.clone().attach();
        let answer = self.inner.call(request);
        drop(attached);
        let answer = async move {
            let response = answer.await.inspect_err(|_| call.end(Code::Internal))?;
            // Refusals come without a body, their status among the headers.
            call.end_by(response.headers());
            Ok(response.map(|body| MeasuredBody::new(body, Some(call))))
        };
        answer.with_context(context).boxed()
    }
}
