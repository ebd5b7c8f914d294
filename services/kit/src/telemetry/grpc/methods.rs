//! Knows the methods of our contracts, so that a stranger's path never becomes a span's or a metric's name.

use std::{collections::HashSet, sync::LazyLock};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Name of a method that is in none of our contracts.
const OTHER: &str = "_OTHER";

/// `package.Service/Method` of everything in `proto`.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default();
    let methods = set.file.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            let name = move |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            service.method.iter().map(move |method| name(method.name()))
        })
    });
    methods.collect()
});

/// The name under which a call to `path` is recorded; `None` for calls that are not: probes, reflection and the
/// long-lived streams in `skipped` (each `package.Service/Method`).
pub(super) fn recorded(path: &str, skipped: &[&str]) -> Option<&'static str> {
    let method = path.strip_prefix('/').unwrap_or(path);
    if method.starts_with("grpc.") || skipped.contains(&method) {
        return None;
    }
    Some(METHODS.get(method).map_or(OTHER, String::as_str))
}
