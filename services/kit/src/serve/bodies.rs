//! What callers send and take: while it is their turn, their call keeps others waiting.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tonic::{Status, body::Body};

use super::capacity::{Begun, Waits};

/// A request's body: its caller's turn until it has come in whole.
#[derive(Debug)]
pub(super) struct Asked {
    body: Incoming,
    waits: Option<Waits>,
}

impl Asked {
    pub(super) fn new(body: Incoming, waits: Option<Waits>) -> Self {
        Self { body, waits }
    }
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        if frame.is_none() || self.body.is_end_stream() {
            self.waits = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body: its caller's turn until it has taken all of it.
#[derive(Debug)]
pub(super) struct Answer {
    rest: Rest,
    call: Option<Arc<Leaving>>,
}

/// What has not been taken of an answer yet.
#[derive(Debug)]
enum Rest {
    Whole(Option<Bytes>, Option<HeaderMap>),
    Stream(Body),
}

/// A call whose answer is on its way.
#[derive(Debug)]
struct Leaving {
    _waits: Option<Waits>,
    _begun: Begun,
}

impl Answer {
    /// Of a stream, which goes on while it is taken.
    pub(super) fn stream(body: Body, begun: Begun) -> Self {
        Self::new(Rest::Stream(body), begun)
    }

    /// Of a call. Its body is there as a whole, in buffers many times as large: what may have to
    /// wait for its caller takes no more memory than it needs.
    pub(super) async fn whole<B>(body: B, begun: Begun) -> Result<Self, B::Error>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let body = body.collect().await?;
        let trailers = body.trailers().cloned();
        let data = body.to_bytes();
        let data = (!data.is_empty()).then(|| Bytes::copy_from_slice(&data));
        Ok(Self::new(Rest::Whole(data, trailers), begun))
    }

    /// Of what is not begun.
    pub(super) fn refusal(_: Body) -> Self {
        let rest = Rest::Whole(None, None);
        Self { rest, call: None }
    }

    fn new(rest: Rest, begun: Begun) -> Self {
        let waits = begun.waits_for_caller();
        let call = Arc::new(Leaving {
            _waits: waits,
            _begun: begun,
        });
        let call = Some(call);
        Self { rest, call }
    }
}

impl http_body::Body for Answer {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        let frame = match &mut self.rest {
            Rest::Stream(body) => ready!(Pin::new(body).poll_frame(task)),
            Rest::Whole(data, trailers) => {
                let data = data.take().map(Frame::data);
                data.or_else(|| trailers.take().map(Frame::trailers))
                    .map(Ok)
            }
        };
        let call = &self.call;
        Poll::Ready(frame.map(|frame| {
            Ok(frame?.map_data(|bytes| Piece {
                bytes,
                _call: call.clone(),
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.rest {
            Rest::Stream(body) => body.is_end_stream(),
            Rest::Whole(data, trailers) => data.is_none() && trailers.is_none(),
        }
    }
}

/// A part of an answer. It is dropped when it has been written, long after its body if the caller
/// lets it wait: HTTP/2 keeps what the window does not take, and the call counts as long.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _call: Option<Arc<Leaving>>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
