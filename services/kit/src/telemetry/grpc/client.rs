//! Around a tonic channel: a CLIENT span a call, whose context travels in the request's metadata.

use std::task::{Context as Task, Poll};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response, Uri};
use opentelemetry::{Context, KeyValue, metrics::Histogram, trace::FutureExt as _};
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

/// Puts [`MeasuredClient`] around a channel.
#[derive(Debug, Clone)]
pub struct ClientLayer {
    peer: Vec<KeyValue>,
    duration: Histogram<f64>,
}

impl ClientLayer {
    /// `peer` is where the channel goes.
    pub fn new(peer: &Uri) -> Self {
        let duration = telemetry::durations(
            names::RPC_CLIENT_CALL_DURATION,
            "Time from a call to its status.",
        );
        let host = peer
            .host()
            .map(|host| KeyValue::new(names::SERVER_ADDRESS, host.to_owned()));
        let port = peer
            .port_u16()
            .map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port)));
        Self {
            peer: host.into_iter().chain(port).collect(),
            duration,
        }
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = MeasuredClient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MeasuredClient {
            inner,
            layer: self.clone(),
        }
    }
}

/// A channel whose calls are traced and measured.
#[derive(Debug, Clone)]
pub struct MeasuredClient<S> {
    inner: S,
    layer: ClientLayer,
}

impl<S, B, R> Service<Request<B>> for MeasuredClient<S>
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let parent = Context::current();
        let Some(method) = methods::recorded(request.uri().path()) else {
            // Not recorded, but the trace goes on: what happens on a stream has spans of its own.
            propagation::inject_http(&parent, request.headers_mut());
            let answer = self.inner.call(request);
            return async { Ok(answer.await?.map(|body| MeasuredBody::new(body, None))) }.boxed();
        };
        let mut attributes = vec![
            KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
            KeyValue::new(names::RPC_METHOD, method),
        ];
        attributes.extend(self.layer.peer.iter().cloned());
        let context = span::client(method, &parent, attributes.iter().cloned());
        propagation::inject_http(&context, request.headers_mut());
        let mut call = Call::begin(
            context.clone(),
            Side::Client,
            attributes,
            self.layer.duration.clone(),
        );
        let answer = self.inner.call(request);
        let answer = async move {
            // No answer at all: the connection could not be made, or broke.
            let response = answer.await.inspect_err(|_| call.end(Code::Unavailable))?;
            call.end_by(response.headers());
            Ok(response.map(|body| MeasuredBody::new(body, Some(call))))
        };
        answer.with_context(context).boxed()
    }
}
