//! A collector that takes traces only, as Jaeger does, in the clear or over TLS, and counts what it is
//! offered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

/// Gone when dropped.
pub(crate) struct Collector {
    counts: Arc<Counts>,
    endpoint: String,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// How often it was offered something.
#[derive(Default)]
struct Counts {
    traces: AtomicUsize,
    logs: AtomicUsize,
    metrics: AtomicUsize,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::serve(Server::builder(), "http").await
    }

    /// Answers with the certificate to trust, too.
    pub(crate) async fn with_tls() -> (Self, String) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = own.cert.pem();
        let identity = Identity::from_pem(&pem, own.signing_key.serialize_pem());
        let tls = ServerTlsConfig::new().identity(identity);
        let server = Server::builder().tls_config(tls).unwrap();
        (Self::serve(server, "https").await, pem)
    }

    async fn serve(mut server: Server, scheme: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let server = server
            .add_service(TraceServiceServer::from_arc(counts.clone()))
            .add_service(LogsServiceServer::from_arc(counts.clone()))
            .add_service(MetricsServiceServer::from_arc(counts.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        Self {
            counts,
            endpoint: format!("{scheme}://localhost:{port}"),
            server: tokio::spawn(server),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How often it was offered traces, logs and metrics.
    pub(crate) fn offered(&self) -> [usize; 3] {
        let Counts {
            traces,
            logs,
            metrics,
        } = &*self.counts;
        [traces, logs, metrics].map(|count| count.load(SeqCst))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[async_trait]
impl TraceService for Counts {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.fetch_add(1, SeqCst);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl LogsService for Counts {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.fetch_add(1, SeqCst);
        Err(Status::unimplemented("unknown service"))
    }
}

#[async_trait]
impl MetricsService for Counts {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.fetch_add(1, SeqCst);
        Err(Status::unimplemented("unknown service"))
    }
}
