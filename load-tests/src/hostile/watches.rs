//! Watches of somebody who never confirms: streams that say one thing and do not end.

use h2::client::Builder;

use super::{
    fill::{Manner, fill},
    front::Front,
};

pub(super) async fn run(front: &Front) {
    let ask = |_| front.listener.watch();
    fill(front, &Builder::new(), 1.0, Manner::Reads, ask).await;
}
