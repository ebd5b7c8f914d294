//! An HTTP/2 connection whose every move is a test's: for callers that no library would be.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::{
    SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use tokio::{net::TcpStream, task::JoinHandle};

/// A client's side of a connection.
#[derive(Debug)]
pub struct Http2 {
    /// Where requests go.
    pub requests: SendRequest<Bytes>,
    /// How it ended.
    pub ended: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// A connection that takes so many octets of each answer before it is asked again.
    ///
    /// # Panics
    /// When nobody listens there, or speaks no HTTP/2.
    pub async fn connect(addr: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(addr).await.expect("somebody listens");
        let mut builder = Builder::new();
        builder.initial_window_size(window);
        let greeted = builder.handshake(stream).await;
        let (requests, connection) = greeted.expect("it speaks HTTP/2");
        let ended = tokio::spawn(connection);
        Self { requests, ended }
    }

    /// Whether it may ask anything more.
    pub async fn is_ready(&self) -> bool {
        self.requests.clone().ready().await.is_ok()
    }

    /// Begins to call a method of gRPC; what it is to be asked goes into the stream.
    ///
    /// # Panics
    /// When the connection takes no further request.
    pub async fn call(&self, method: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://usher/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a method is a path");
        let ready = self.requests.clone().ready().await;
        let asked = ready.and_then(|mut requests| requests.send_request(request, false));
        asked.expect("it takes a further request")
    }
}
