//! The public listener: gRPC for everybody, within limits, with health and reflection beside a
//! service's own calls.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};
use tower::{ServiceBuilder, util::MapResponseLayer};

use super::{
    Health,
    capacity::Capacity,
    deadline::Timely,
    listener::{self, Versions},
    size::explain_size,
};
use crate::telemetry::grpc::{CallerTraces, ServerLayer};

/// Serves until `stop`, and then what was begun.
pub(super) async fn serve(
    listener: Arc<TcpListener>,
    capacity: Capacity,
    routes: Routes,
    names: &'static [&'static str],
    health: Health,
    callers: CallerTraces,
    stop: CancellationToken,
) {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    // Both run for ever, and hold the database open; dropped, they end.
    let mut checks = JoinSet::new();
    checks.spawn(health.clone().check_writes());
    checks.spawn(health.report(reporter, names));
    let service = ServiceBuilder::new()
        .layer(ServerLayer::new(callers))
        .layer(MapResponseLayer::new(explain_size))
        .layer_fn(Timely)
        .service(
            routes
                .add_service(health_service)
                .prepare()
                .into_axum_router(),
        );
    let serving = listener::serve(listener, capacity, Versions::Http2, service, stop);
    tokio::select! {
        () = serving => {}
        // Readiness would repeat its last word for ever.
        Some(Err(ended)) = checks.join_next() => {
            if let Ok(panic) = ended.try_into_panic() {
                std::panic::resume_unwind(panic);
            }
        }
    }
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
