//! Callers that no library would be: they say nothing, never end what they ask, or take no answer.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{Reason, client::ResponseFuture};
use http::Request;
use kit::testing::{Http2, SOON};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};

/// A gRPC message without a field.
pub(crate) const EMPTY: Bytes = Bytes::from_static(&[0; 5]);

/// Connections that were opened and say nothing.
pub(crate) async fn silent(addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(TcpStream::connect(addr).await.unwrap());
    }
    all
}

/// Waits until the other side closes it, and says after how long.
pub(crate) async fn closed(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // Closed in order or reset: it is gone.
    let _ = timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("the connection is closed");
    begun.elapsed()
}

/// Asks as a browser or a probe does.
pub(crate) async fn get(connection: &Http2, path: &str) -> ResponseFuture {
    let request = Request::get(format!("http://usher{path}"));
    let mut ready = connection.requests.clone().ready().await.unwrap();
    ready
        .send_request(request.body(()).unwrap(), true)
        .unwrap()
        .0
}

/// Asks `method`; the request ends if `whole`.
pub(crate) async fn ask(
    connection: &Http2,
    method: &str,
    body: Bytes,
    whole: bool,
) -> ResponseFuture {
    let (answer, mut stream) = connection.call(method).await;
    stream.send_data(body, whole).unwrap();
    if !whole {
        // Dropped, it would be reset.
        tokio::spawn(async move { stream_open(stream).await });
    }
    answer
}

async fn stream_open(mut stream: h2::SendStream<Bytes>) -> Result<Reason, h2::Error> {
    std::future::poll_fn(|task| stream.poll_reset(task)).await
}
