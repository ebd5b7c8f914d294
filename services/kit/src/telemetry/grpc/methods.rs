//! Knows the methods of our contracts, so that a stranger's path never becomes a span's or a
//! metric's name.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

/// Name of a method that is in none of our contracts.
pub(super) const OTHER: &str = "_OTHER";

/// `package.Service/Method` of everything in `proto`, and whether it is a call that ends with its
/// one answer.
static METHODS: LazyLock<HashMap<String, bool>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default();
    let methods = set.file.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            let name =
                move |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            let unary = |method: &MethodDescriptorProto| {
                !method.client_streaming() && !method.server_streaming()
            };
            service
                .method
                .iter()
                .map(move |method| (name(method.name()), unary(method)))
        })
    });
    methods.collect()
});

/// The name under which a call to `path` is recorded; `None` for calls that are not: probes,
/// reflection, and streams, which stay open for hours.
pub(super) fn recorded(path: &str) -> Option<&'static str> {
    let method = path.strip_prefix('/').unwrap_or(path);
    if method.starts_with("grpc.") {
        return None;
    }
    match METHODS.get_key_value(method) {
        Some((name, true)) => Some(name),
        Some((_, false)) => None,
        // A name out of the request would let a stranger make as many series as it likes.
        None => Some(OTHER),
    }
}

/// The name under which the items of a stream to `path` are recorded, if it is one of our
/// contracts.
pub(super) fn streamed(path: &str) -> Option<&'static str> {
    let method = path.strip_prefix('/').unwrap_or(path);
    match METHODS.get_key_value(method) {
        Some((name, false)) => Some(name),
        _ => None,
    }
}

/// Whether a call to `path` stays open until one side ends it: such calls cost room for hours.
pub(crate) fn stays_open(path: &str) -> bool {
    let method = path.strip_prefix('/').unwrap_or(path);
    let is_ours = METHODS.get(method).is_some_and(|unary| !unary);
    is_ours || method.starts_with("grpc.reflection.") || method == "grpc.health.v1.Health/Watch"
}
