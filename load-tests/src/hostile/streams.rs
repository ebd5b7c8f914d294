//! Streams without an end: headers are sent, nothing after them, and the next stream is opened,
//! whatever number the listener allows.

use super::{
    frames::{block, headers, pour},
    front::Front,
};

pub(super) async fn run(front: &Front) {
    let block = block(&front.listener);
    pour(front, 1.0, 1, |id| headers(id, &block)).await;
}
