//! gRPC reflection: tells a listener's own services to tools such as grpcurl, and what the details
//! of refusals mean.

use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};

/// The reflection service of a listener that serves `names`.
///
/// # Errors
/// When a descriptor set cannot be decoded.
pub(super) fn of(names: &[&str]) -> anyhow::Result<ServerReflectionServer<impl ServerReflection>> {
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
