//! Calls with long answers and no window for them: the listener is to keep what it cannot send.

use h2::client::Builder;

use super::{
    fill::{Manner, fill},
    front::Front,
};

pub(super) async fn run(front: &Front) {
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let ask = |_| front.listener.large();
    fill(front, &builder, 1.0, Manner::Reads, ask).await;
}
