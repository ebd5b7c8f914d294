//! Callers that no library would be: they say nothing, never end what they ask, or take no answer.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use kit::testing::SOON;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    task::JoinHandle,
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

/// An HTTP/2 connection whose every move is ours.
pub(crate) struct Raw {
    pub(crate) requests: SendRequest<Bytes>,
    /// How it ended.
    pub(crate) ended: JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    /// A connection that takes so many octets of each answer before it is asked again.
    pub(crate) async fn connect(addr: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        let ended = tokio::spawn(connection);
        Self { requests, ended }
    }

    /// Whether it may ask anything more.
    pub(crate) async fn is_ready(&self) -> bool {
        self.requests.clone().ready().await.is_ok()
    }

    /// Asks as a browser or a probe does.
    pub(crate) async fn get(&mut self, path: &str) -> ResponseFuture {
        let request = Request::get(format!("http://usher{path}"));
        let mut ready = self.requests.clone().ready().await.unwrap();
        ready
            .send_request(request.body(()).unwrap(), true)
            .unwrap()
            .0
    }

    /// Asks `method`; the request ends if `whole`.
    pub(crate) async fn ask(&mut self, method: &str, body: Bytes, whole: bool) -> ResponseFuture {
        let request = Request::post(format!("http://usher/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut ready = self.requests.clone().ready().await.unwrap();
        let (answer, mut stream) = ready.send_request(request, false).unwrap();
        stream.send_data(body, whole).unwrap();
        if !whole {
            // Dropped, it would be reset.
            tokio::spawn(async move { stream_open(stream).await });
        }
        answer
    }
}

async fn stream_open(mut stream: h2::SendStream<Bytes>) -> Result<Reason, h2::Error> {
    std::future::poll_fn(|task| stream.poll_reset(task)).await
}
