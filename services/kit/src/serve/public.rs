//! The public listener: gRPC for everybody, within limits, with health and reflection beside a
//! service's own calls.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};
use tower::util::MapResponseLayer;

use super::{Health, deadline::LONGEST_CALL, size::explain_size};
use crate::telemetry::grpc::{CallerTraces, ServerLayer};

/// What is not limited here is what an attacker uses.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Routes,
    names: &'static [&'static str],
    health: Health,
    callers: CallerTraces,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = self::reflection(&[names, &["grpc.health.v1.Health"]].concat())?;
    let checking = tokio::spawn(health.clone().check_writes());
    let reporting = tokio::spawn(health.report(reporter, names));
    let served = Server::builder()
        .layer(ServerLayer::new(callers))
        .layer(MapResponseLayer::new(explain_size))
        // Also for callers that name no deadline of their own.
        .timeout(LONGEST_CALL)
        // The first holds calls back, the second refuses streams before they are read.
        .concurrency_limit_per_connection(1_024)
        .max_concurrent_streams(1_024)
        // A caller that vanished holds its watches and their queries until this finds out.
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 * 1024)
        // Streams opened and reset at once cost the server work, their caller none
        // (CVE-2023-44487).
        .http2_max_pending_accept_reset_streams(Some(20))
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move {
                stop.cancelled().await;
            },
        )
        .await;
    // Both run for ever, and hold the database open.
    checking.abort();
    reporting.abort();
    Ok(served?)
}

/// Reflection of a listener that serves `names`: tells them to tools such as grpcurl, and what the
/// details of refusals mean.
pub(super) fn reflection(
    names: &[&str],
) -> anyhow::Result<ServerReflectionServer<impl ServerReflection>> {
    let builder = Builder::configure()
        // Contracts of services that are elsewhere are known but not listed: a caller who picks
        // from the list is never answered UNIMPLEMENTED.
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.reflection.v1.ServerReflection");
    Ok(names
        .iter()
        .copied()
        .fold(builder, Builder::with_service_name)
        .build_v1()?)
}
