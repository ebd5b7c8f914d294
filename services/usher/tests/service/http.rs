//! Stand-ins for servers that `usher` asks by HTTP: a Jaeger over what services export, and whatever
//! else a test answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{
    Request, Response, body::Bytes, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::{ResourceSpans, TracesData},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

/// Gone when dropped.
pub(crate) struct Web {
    port: u16,
    server: JoinHandle<()>,
}

impl Web {
    /// Answers each path, with its query, as `answer` says.
    pub(crate) async fn start(
        answer: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(serve(listener, Arc::new(answer)));
        Self { port, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    listener: TcpListener,
    answer: Arc<impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static>,
) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (code, body) = answer(&request.uri().to_string());
                let response = Response::builder().status(code);
                let response = response.header(CONTENT_TYPE, "application/json");
                let response = response.body(Full::new(Bytes::from(body)));
                async move { response }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            let _ = served.await;
        });
    }
}

/// A Jaeger: takes spans by OTLP, and answers with them as the real one does.
pub(crate) struct JaegerStandIn {
    /// Where services send their spans.
    pub(crate) endpoint: String,
    pub(crate) web: Web,
    collector: JoinHandle<Result<(), tonic::transport::Error>>,
}

#[derive(Default)]
struct Kept(Mutex<HashMap<String, Vec<ResourceSpans>>>);

impl JaegerStandIn {
    /// One that loses the spans that `is_lost` names.
    pub(crate) async fn start(is_lost: fn(&str) -> bool) -> Self {
        let kept = Arc::new(Kept::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Server::builder()
            .add_service(TraceServiceServer::from_arc(kept.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        let web = Web::start(move |path| {
            let id = path.strip_prefix("/api/v3/traces/").expect("one trace");
            let mut kept = kept.0.lock().unwrap().get(id).cloned().unwrap_or_default();
            for scope in kept.iter_mut().flat_map(|process| &mut process.scope_spans) {
                scope.spans.retain(|span| !is_lost(&span.name));
            }
            if kept.is_empty() {
                return (404, NO_TRACES.to_vec());
            }
            let result = TracesData {
                resource_spans: kept,
            };
            (200, json!({ "result": result }).to_string().into_bytes())
        })
        .await;
        Self {
            endpoint,
            web,
            collector: tokio::spawn(collector),
        }
    }
}

impl Drop for JaegerStandIn {
    fn drop(&mut self) {
        self.collector.abort();
    }
}

/// What Jaeger says of a trace that it does not have.
pub(crate) const NO_TRACES: &[u8] = br#"{"error":{"httpCode":404,"message":"No traces found"}}"#;

#[async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap();
        for process in request.into_inner().resource_spans {
            for scope in &process.scope_spans {
                for span in &scope.spans {
                    let one = ResourceSpans {
                        scope_spans: vec![opentelemetry_proto::tonic::trace::v1::ScopeSpans {
                            spans: vec![span.clone()],
                            ..scope.clone()
                        }],
                        ..process.clone()
                    };
                    let trace = kept.entry(hex::encode(&span.trace_id)).or_default();
                    trace.push(one);
                }
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}
