//! How long a message may be, and what its caller is told when it is longer: the same on every
//! listener and in every stream.

use tonic::{Code, Status};

use super::refused;

/// Longest gRPC message that a service reads: the longest valid request is under 2 KiB. What is
/// begun of a message takes memory for as long as its caller likes.
pub const MESSAGE_LIMIT: usize = 16 * 1024;

/// What a caller is told whose message was longer than `MESSAGE_LIMIT`: RESOURCE_EXHAUSTED, reason
/// MESSAGE_TOO_LARGE, on every listener and in every stream; nothing where that is not what
/// `status` says.
pub fn explained_size(status: &Status) -> Option<Status> {
    // tonic refuses such a message before any handler of ours sees it, as OUT_OF_RANGE and without
    // a detail. One of a handler's own would have details.
    if status.code() != Code::OutOfRange || !status.details().is_empty() {
        return None;
    }
    let message = format!("The message is longer than the {MESSAGE_LIMIT} bytes that are read.");
    let code = Code::ResourceExhausted;
    Some(refused(code, &message, "MESSAGE_TOO_LARGE"))
}

/// Says of a message that was too long what a program can compare.
pub(super) fn explain_size<B>(mut response: http::Response<B>) -> http::Response<B> {
    let answer = Status::from_header_map(response.headers());
    if let Some(status) = answer.and_then(|status| explained_size(&status)) {
        // Headers that cannot be written leave the refusal as it was.
        let _ = status.add_header(response.headers_mut());
    }
    response
}
