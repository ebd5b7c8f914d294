//! A caller of `CreateAccounts` that no library would be: it takes results only when the test says
//! so, and sends what is no item.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use kit::testing::{Http2, SOON};
use prost::Message as _;
use proto::accounts::{CreateAccountsRequest, CreateAccountsResponse};
use tokio::{task::JoinHandle, time::timeout};
use tonic::Status;

/// A connection of its own.
pub(crate) struct Raw(Http2);

/// What came back, as far as it is taken.
pub(crate) struct Answer {
    head: HeaderMap,
    body: RecvStream,
    _items: Option<SendStream<Bytes>>,
}

impl Raw {
    /// One that takes so many octets of an answer until it is taken.
    pub(crate) async fn connect(addr: SocketAddr, window: u32) -> Self {
        Self(Http2::connect(addr, window).await)
    }

    /// Whether it may ask anything more.
    pub(crate) async fn is_ready(&self) -> bool {
        self.0.is_ready().await
    }

    /// Sends items as the service takes them, and ends after the last.
    pub(crate) async fn create_accounts(
        &mut self,
        items: impl IntoIterator<Item = CreateAccountsRequest, IntoIter: Send + 'static>,
    ) -> (Answer, JoinHandle<()>) {
        let (answer, mut stream) = self.open().await;
        let items = items.into_iter();
        let sending = tokio::spawn(async move {
            for item in items {
                if !send(&mut stream, framed(&item.encode_to_vec())).await {
                    return;
                }
            }
            let _ = stream.send_data(Bytes::new(), true);
        });
        (answer, sending)
    }

    /// Sends an item, and then a message that is none.
    pub(crate) async fn create_accounts_then(
        &mut self,
        item: CreateAccountsRequest,
        message: &[u8],
    ) -> Answer {
        let (mut answer, mut stream) = self.open().await;
        send(&mut stream, framed(&item.encode_to_vec())).await;
        send(&mut stream, framed(message)).await;
        answer._items = Some(stream);
        answer
    }

    async fn open(&mut self) -> (Answer, SendStream<Bytes>) {
        let method = "usher.accounts.v1.AccountsService/CreateAccounts";
        let (answer, stream) = self.0.call(method).await;
        let (head, body) = answer.await.unwrap().into_parts();
        let answer = Answer {
            head: head.headers,
            body,
            _items: None,
        };
        (answer, stream)
    }
}

impl Answer {
    /// Takes everything from now on: results, and the status at the end.
    pub(crate) async fn rest(&mut self) -> (Vec<CreateAccountsResponse>, Status) {
        timeout(SOON, self.read()).await.expect("the stream ends")
    }

    async fn read(&mut self) -> (Vec<CreateAccountsResponse>, Status) {
        let mut octets = Vec::new();
        while let Some(part) = self.body.data().await {
            let part = part.unwrap();
            self.body
                .flow_control()
                .release_capacity(part.len())
                .unwrap();
            octets.extend(part);
        }
        let trailers = self.body.trailers().await.unwrap();
        let trailers = trailers.as_ref().unwrap_or(&self.head);
        let status = Status::from_header_map(trailers).unwrap();
        let mut results = Vec::new();
        let mut rest = &*octets;
        while let Some((head, behind)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            results.push(CreateAccountsResponse::decode(&behind[..length]).unwrap());
            rest = &behind[length..];
        }
        (results, status)
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// Sends as much as the service takes; false when it takes no more.
async fn send(stream: &mut SendStream<Bytes>, mut octets: Bytes) -> bool {
    while !octets.is_empty() {
        stream.reserve_capacity(octets.len());
        let capacity = std::future::poll_fn(|task| stream.poll_capacity(task)).await;
        let Some(Ok(capacity)) = capacity else {
            return false;
        };
        let part = octets.split_to(capacity.min(octets.len()));
        if stream.send_data(part, false).is_err() {
            return false;
        }
    }
    true
}
