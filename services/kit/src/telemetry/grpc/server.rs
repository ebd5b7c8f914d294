//! Around a tonic server: a SERVER span a call, whose trace the caller is told, and how long answers
//! take.

use std::task::{Context as Task, Poll};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use opentelemetry::{
    Context, KeyValue,
    metrics::Histogram,
    trace::{FutureExt as _, SpanContext, SpanKind, TraceContextExt as _, TraceState},
};
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

/// What becomes of the trace that a caller says its call belongs to.
#[derive(clap::ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerTraces {
    /// A trace of our own begins, and points at the caller's.
    #[default]
    Link,
    /// The caller's goes on, recorded or not as the caller says.
    Continue,
}

/// Puts [`MeasuredServer`] around a service.
#[derive(Debug, Clone)]
pub struct ServerLayer {
    callers: CallerTraces,
    duration: Histogram<f64>,
}

impl ServerLayer {
    /// For a listener whose callers may decide as much about our traces.
    pub fn new(callers: CallerTraces) -> Self {
        let what = "Time from a request to its status.";
        Self {
            callers,
            duration: telemetry::durations(names::RPC_SERVER_CALL_DURATION, what),
        }
    }

    /// Begins a call, or one of many on a stream.
    fn begin(&self, method: &'static str, caller: &Context) -> Call {
        let attributes = vec![
            KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
            KeyValue::new(names::RPC_METHOD, method),
        ];
        let context = self.span(method, caller, &attributes);
        Call::begin(context, Side::Server, attributes, self.duration.clone())
    }

    fn span(&self, method: &'static str, caller: &Context, attributes: &[KeyValue]) -> Context {
        let attributes = attributes.iter().cloned();
        match self.callers {
            CallerTraces::Continue => span::server(method, caller, attributes),
            // W3C Trace Context §3.4, "restart trace": a stranger who always names the same trace
            // would make one of all journeys, and flags of 00 would hide what it does.
            CallerTraces::Link => {
                let (root, caller) = (Context::new(), stranger(caller));
                span::linked(SpanKind::Server, method, &root, attributes, [caller])
            }
        }
    }
}

/// The caller's span without what else it says: up to 512 characters of anything.
fn stranger(caller: &Context) -> SpanContext {
    let span = caller.span();
    let span = span.span_context();
    let (trace, flags) = (span.trace_id(), span.trace_flags());
    SpanContext::new(trace, span.span_id(), flags, true, TraceState::default())
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(method) = methods::recorded(request.uri().path()) else {
            if let Some(method) = methods::streamed(request.uri().path()) {
                let caller = propagation::extract_http(request.headers());
                let items = Items::new(self.layer.clone(), method, caller);
                request.extensions_mut().insert(items);
            }
            let answer = self.inner.call(request);
            return async { Ok(answer.await?.map(|body| MeasuredBody::new(body, None))) }.boxed();
        };
        let caller = propagation::extract_http(request.headers());
        let mut call = self.layer.begin(method, &caller);
        let context = call.context().clone();
        let told = context.clone();
        // The handler's first part runs in `call` itself, before a future could carry the context.
        let attached = context.clone().attach();
        let answer = self.inner.call(request);
        drop(attached);
        let answer = async move {
            let mut response = answer.await.inspect_err(|_| call.end(Code::Internal))?;
            propagation::inject_response(&told, response.headers_mut());
            // Refusals come without a body, their status among the headers.
            call.end_by(response.headers());
            Ok(response.map(|body| MeasuredBody::new(body, Some(call))))
        };
        answer.with_context(context).boxed()
    }
}

/// What is asked on one stream; found by its handler among the request's extensions.
#[derive(Debug, Clone)]
pub struct Items {
    layer: ServerLayer,
    method: &'static str,
    caller: Context,
}

impl Items {
    fn new(layer: ServerLayer, method: &'static str, caller: Context) -> Self {
        Self {
            layer,
            method,
            caller,
        }
    }

    /// Those of this request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let items = request.extensions().get::<Self>().cloned();
        // Where no layer is around the service: nobody has said whom to trust.
        items.unwrap_or_else(|| {
            let layer = ServerLayer::new(CallerTraces::Link);
            Self::new(layer, methods::OTHER, Context::new())
        })
    }

    /// Begins one of them. It is a trace of its own that points at the caller's, or goes on in the
    /// caller's where that is trusted: what a thousand people sign up by is a thousand journeys, and
    /// in one trace nobody would find hers.
    pub fn begin(&self) -> Item {
        Item(self.layer.begin(self.method, &self.caller))
    }
}

/// One call of many. Dropped before its end it was cancelled.
#[derive(Debug)]
pub struct Item(Call);

impl Item {
    /// What its work is a part of.
    pub fn context(&self) -> &Context {
        self.0.context()
    }

    /// It has its answer.
    pub fn end(mut self, code: Code) {
        self.0.end(code);
    }
}
