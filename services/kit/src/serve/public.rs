//! The public listener: gRPC for everybody, within limits, with health and reflection beside a
//! service's own calls.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, service::Routes};
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
    refused,
};
use crate::telemetry::grpc::ServerLayer;

/// Longest gRPC message that a service reads: the longest valid request is under 2 KiB. What is
/// begun of a message takes memory for as long as its caller likes.
pub const MESSAGE_LIMIT: usize = 16 * 1024;

/// Serves until `stop`, and then what was begun.
pub(super) async fn serve(
    listener: TcpListener,
    capacity: Capacity,
    routes: Routes,
    names: &'static [&'static str],
    health: Health,
    stop: CancellationToken,
) {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let checking = tokio::spawn(health.clone().check_writes());
    let reporting = tokio::spawn(health.report(reporter, names));
    let service = ServiceBuilder::new()
        .layer(ServerLayer::default())
        .layer(MapResponseLayer::new(explain_size))
        .layer_fn(Timely)
        .service(
            routes
                .add_service(health_service)
                .prepare()
                .into_axum_router(),
        );
    listener::serve(listener, capacity, Versions::Http2, service, stop).await;
    // Both run for ever, and hold the database open.
    checking.abort();
    reporting.abort();
}

fn explain_size<B>(mut response: http::Response<B>) -> http::Response<B> {
    // tonic refuses such a message before any handler of ours sees it, and without a detail; this
    // adds what a program can compare. A handler's own OUT_OF_RANGE would have details.
    let answer = Status::from_header_map(response.headers());
    if answer.is_some_and(|status| status.code() == Code::OutOfRange && status.details().is_empty())
    {
        let message =
            format!("The message is longer than the {MESSAGE_LIMIT} bytes that are read.");
        let status = refused(Code::ResourceExhausted, &message, "MESSAGE_TOO_LARGE");
        // Headers that cannot be written leave the refusal as it was.
        let _ = status.add_header(response.headers_mut());
    }
    response
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
