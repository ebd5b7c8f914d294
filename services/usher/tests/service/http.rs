//! Stand-ins for servers that `usher` asks by HTTP: a mailbox over a folder of mails, a Jaeger over
//! what services export, and whatever else a test answers.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{
    Request, Response, body::Bytes, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use mail_parser::MessageParser;
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

/// The mailbox's API over a folder of `.eml` files.
pub(crate) async fn mailbox(folder: PathBuf) -> Web {
    Web::start(move |path| {
        let file = |name: &str| fs::read(folder.join(name));
        if let Some(id) = path.strip_prefix("/api/v1/mails/") {
            let name = id.strip_suffix("/raw").unwrap();
            return (200, file(name).unwrap());
        }
        let to = path.strip_prefix("/api/v1/mails?to=").expect("a list");
        let to = to.split('&').next().unwrap().replace("%2D", "-");
        let (to, mut mails) = (to.replace("%40", "@").replace("%2E", "."), Vec::new());
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let is_whole = name.ends_with(".eml") && !name.starts_with('.');
            let Some(bytes) = is_whole.then(|| file(&name).ok()).flatten() else {
                continue;
            };
            let mail = MessageParser::default().parse(&bytes).unwrap();
            if mail.to().unwrap().first().unwrap().address() == Some(&*to) {
                mails.push(json!({ "id": name, "to": [&to] }));
            }
        }
        (
            200,
            json!({ "mails": mails, "next": null })
                .to_string()
                .into_bytes(),
        )
    })
    .await
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
