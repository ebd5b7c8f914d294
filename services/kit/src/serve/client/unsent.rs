//! The message of a call that may have to be made twice, and whether it may: when nobody has read of
//! it, it never left; when the peer says so, it did nothing with it.

use std::{
    error::Error,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tonic::{Status, body::Body, transport};

/// A request's body, for several tries.
#[derive(Debug)]
pub(super) enum Unsent {
    /// One message, which can be sent again.
    Whole { message: Bytes, tried: Slot },
    /// A stream of messages: it can be read once.
    Stream(Slot),
}

/// A body that is still here, unless somebody began to read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Body>>>);

impl Unsent {
    /// Of a call with one message.
    ///
    /// # Errors
    /// What the message's encoder says.
    pub(super) async fn whole(body: Body) -> Result<Self, Status> {
        let message = body.collect().await?.to_bytes();
        let tried = Slot::default();
        Ok(Self::Whole { message, tried })
    }

    /// Of a call with as many messages as its caller likes.
    pub(super) fn stream(body: Body) -> Self {
        Self::Stream(Slot::of(body))
    }

    /// The body, for one try.
    pub(super) fn lend(&mut self) -> Body {
        let slot = match self {
            Self::Whole { message, tried } => {
                *tried = Slot::of(Body::new(Full::new(message.clone())));
                tried.clone()
            }
            Self::Stream(slot) => slot.clone(),
        };
        Body::new(Lent::Unread(slot))
    }

    /// Whether the try that ended with `error` has had no effect, and another one can be made.
    pub(super) fn may_be_sent(&self, error: &transport::Error) -> bool {
        match self {
            Self::Whole { tried, .. } => tried.is_full() || was_sent_away(error),
            Self::Stream(slot) => slot.is_full(),
        }
    }
}

/// Whether the peer takes no more calls on this connection and has not begun with this one, RFC
/// 9113 §6.8: its number is higher than that of the last that it takes. Who stops in order says so
/// of what was under way to it.
fn was_sent_away(error: &transport::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let in_order = error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_go_away() && error.is_remote() && in_order;
        }
        cause = error.source();
    }
    false
}

impl Slot {
    fn of(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    fn is_full(&self) -> bool {
        self.look(|body| body.is_some())
    }

    fn take(&self) -> Body {
        self.look(Option::take).unwrap_or_default()
    }

    fn look<T>(&self, look: impl FnOnce(&mut Option<Body>) -> T) -> T {
        // Nothing panics while it is held.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Lent {
    Unread(Slot),
    Read(Body),
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Self::Unread(slot) = &*self {
            let body = slot.take();
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
