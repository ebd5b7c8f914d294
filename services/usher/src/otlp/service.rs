//! The three OTLP/gRPC services; what they take goes into the store.

use std::sync::Arc;

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
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

use super::{span::spans_of, store::Store};

/// A full batch of ours is some 3 MB; gRPC's default of 4 MB would refuse a fuller one and lose it.
const LARGEST_REQUEST: usize = 64 << 20;

/// Serves until the task is aborted.
pub(super) async fn serve(listener: TcpListener, store: Arc<Store>) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let receiver = Receiver { store };
    let served = Server::builder()
        .add_service(
            TraceServiceServer::new(receiver.clone())
                .max_decoding_message_size(LARGEST_REQUEST)
                .accept_compressed(CompressionEncoding::Gzip),
        )
        .add_service(
            MetricsServiceServer::new(receiver.clone())
                .max_decoding_message_size(LARGEST_REQUEST)
                .accept_compressed(CompressionEncoding::Gzip),
        )
        .add_service(
            LogsServiceServer::new(receiver)
                .max_decoding_message_size(LARGEST_REQUEST)
                .accept_compressed(CompressionEncoding::Gzip),
        )
        .serve_with_incoming(incoming)
        .await;
    if let Err(error) = served {
        tracing::warn!(error = %error, "The OTLP receiver stopped.");
    }
}

#[derive(Clone)]
struct Receiver {
    store: Arc<Store>,
}

#[async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.store.record(&request);
        self.store.add(spans_of(request.resource_spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.store.record(request.get_ref());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.store.record(request.get_ref());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
