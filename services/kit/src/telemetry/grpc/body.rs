//! A response's body that ends its call when the status comes by: gRPC sends it last, in the
//! trailers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use tonic::Code;

use super::call::Call;

/// The body of a call's response; of calls that are not recorded it is passed through.
#[derive(Debug)]
pub struct MeasuredBody<B> {
    inner: B,
    call: Option<Call>,
}

impl<B> MeasuredBody<B> {
    pub(super) const fn new(inner: B, call: Option<Call>) -> Self {
        Self { inner, call }
    }
}

impl<B: Default> Default for MeasuredBody<B> {
    fn default() -> Self {
        Self {
            inner: B::default(),
            call: None,
        }
    }
}

impl<B: Body + Unpin> Body for MeasuredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        // A streaming handler runs inside this poll: what it logs and calls belongs to the call.
        let attached = this
            .call
            .as_ref()
            .map(|call| call.context().clone().attach());
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(task));
        drop(attached);
        if let Some(call) = &mut this.call {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        call.end_by(trailers);
                    }
                }
                // A broken stream, or one without trailers: from a proxy, or from something that is
                // no gRPC.
                Some(Err(_)) | None => call.end(Code::Unknown),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
