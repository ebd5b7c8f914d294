//! The body of a call that may have to be made twice: as long as nobody has read of it, the message
//! never left, and another endpoint may get the call.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tonic::{Status, body::Body};

/// A body that is still here, unless somebody began to read it.
#[derive(Debug, Clone)]
pub(super) struct Unsent(Arc<Mutex<Option<Body>>>);

impl Unsent {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The body, for one try.
    pub(super) fn lend(&self) -> Body {
        Body::new(Lent::Unread(self.clone()))
    }

    /// Whether nobody has read of it.
    pub(super) fn is_here(&self) -> bool {
        self.slot(|body| body.is_some())
    }

    fn take(&self) -> Body {
        self.slot(Option::take).unwrap_or_default()
    }

    fn slot<T>(&self, look: impl FnOnce(&mut Option<Body>) -> T) -> T {
        // Nothing panics while it is held.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Lent {
    Unread(Unsent),
    Read(Body),
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Self::Unread(unsent) = &*self {
            let body = unsent.take();
            drop(mem::replace(&mut *self, Self::Read(body)));
        }
        match &mut *self {
            Self::Read(body) => Pin::new(body).poll_frame(task),
            Self::Unread(_) => Poll::Ready(None),
        }
    }

    // No size, and no end before it was read: else a call could leave without its body being asked
    // for.
    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Read(body) if body.is_end_stream())
    }
}
