//! The end of a connection, in stages (RFC 9112 §9.6): we say that we have no more to say, and read on
//! for a moment. A socket that is closed while octets of its peer are unread is reset, and the peer
//! then loses what it has not read itself: the last answers, and why there are no more.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf, copy, sink},
    net::tcp::OwnedReadHalf,
    sync::oneshot,
    time::timeout,
};

/// For so long: there and back over a slow path, and no longer than anybody waits for a stop.
const LINGER: Duration = Duration::from_secs(1);

/// What is read from; given back where it is dropped.
pub(super) struct LentRead(Option<(OwnedReadHalf, oneshot::Sender<OwnedReadHalf>)>);

/// Where it is given back.
pub(super) struct Linger(oneshot::Receiver<OwnedReadHalf>);

pub(super) fn lend(read: OwnedReadHalf) -> (LentRead, Linger) {
    let (back, linger) = oneshot::channel();
    (LentRead(Some((read, back))), Linger(linger))
}

impl Linger {
    /// Reads what is still said, once nobody else does, until the peer has read our end.
    pub(super) async fn read_on(mut self) {
        if let Ok(mut read) = self.0.try_recv() {
            let _ = timeout(LINGER, copy(&mut read, &mut sink())).await;
        }
    }
}

impl AsyncRead for LentRead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some((read, _)) => Pin::new(read).poll_read(cx, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for LentRead {
    fn drop(&mut self) {
        if let Some((read, back)) = self.0.take() {
            let _ = back.send(read); // nobody lingers where the connection was to be gone at once
        }
    }
}
