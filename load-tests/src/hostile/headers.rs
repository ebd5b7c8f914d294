//! Requests with 64 KiB of headers, over HTTP/2 and, where that is spoken, over HTTP/1.

use h2::client::Builder;
use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    fill::{Manner, fill},
    front::Front,
    listener::Ask,
};

const FIELDS: u8 = 16;
const EACH: usize = 4_096;

pub(super) async fn run(front: &Front) {
    let ask = |number: u64| {
        let mut ask = Ask {
            request: front.listener.post(front.listener.call()),
            body: bytes::Bytes::new(),
            is_whole: true,
        };
        for (name, value) in fields(number) {
            let name = HeaderName::try_from(name).expect("it is a name");
            let value = HeaderValue::try_from(value).expect("it is a value");
            ask.request.headers_mut().insert(name, value);
        }
        ask
    };
    let builder = Builder::new();
    if front.listener.is_admin {
        tokio::join!(
            fill(front, &builder, 0.5, Manner::Reads, ask),
            over_http1(front)
        );
    } else {
        fill(front, &builder, 1.0, Manner::Reads, ask).await;
    }
}

/// Never the same, so that nothing is sent as an index.
fn fields(number: u64) -> Vec<(String, String)> {
    let field = |field| {
        let value = format!("{number}.{field}.");
        (format!("x-{field}"), value.repeat(EACH / value.len()))
    };
    (0..FIELDS).map(field).collect()
}

async fn over_http1(front: &Front) {
    front
        .each(0.5, |number, mut wire| async move {
            let mut head = "GET /livez HTTP/1.1\r\nhost: usher\r\nconnection: close\r\n".to_owned();
            for (name, value) in fields(number) {
                head += &format!("{name}: {value}\r\n");
            }
            head += "\r\n";
            let mut reply = Vec::new();
            let _ = wire.write_all(head.as_bytes()).await;
            let _ = wire.read_to_end(&mut reply).await;
            let line = String::from_utf8_lossy(&reply);
            let status = line.split_whitespace().nth(1).unwrap_or("closed");
            format!("HTTP/1 {status}")
        })
        .await;
}
