//! Requests that announce a message and send it byte by byte, without an end.

use std::time::Duration;

use h2::client::Builder;

use super::{
    fill::{Manner, fill},
    front::Front,
    listener::{Ask, framed},
    silent::held,
};

const EVERY: Duration = Duration::from_secs(2);
/// Within the limit of a message, so that it is not refused by its length.
const LENGTH: usize = 15_000;

pub(super) async fn run(front: &Front) {
    let ask = |_| Ask {
        request: front.listener.post(front.listener.call()),
        body: framed(0, LENGTH, &[]),
        is_whole: false,
    };
    let builder = Builder::new();
    if front.listener.is_admin {
        // It speaks HTTP/1, too.
        tokio::join!(
            fill(front, &builder, 0.5, Manner::Drips(EVERY), ask),
            over_http1(front)
        );
    } else {
        fill(front, &builder, 1.0, Manner::Drips(EVERY), ask).await;
    }
}

async fn over_http1(front: &Front) {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/grpc\r\ncontent-length: {LENGTH}\r\n\r\n",
        front.listener.call(),
        front.listener.addr
    );
    front
        .each(0.5, |_, wire| {
            let head = head.clone();
            async move { format!("HTTP/1 {}", held(wire, head.as_bytes(), b"x").await) }
        })
        .await;
}
