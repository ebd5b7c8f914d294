//! HTTP/2 frame by frame (RFC 9113), for a client that keeps to no rule: it asks for streams whether
//! the listener allows them or not.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use h2::Reason;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::{
    front::{Front, Wire},
    listener::Listener,
};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
pub(super) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

const LONGEST: usize = 16_384;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS_TYPE: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A listener that takes no byte for so long has stopped reading.
const STUCK: Duration = Duration::from_secs(10);

/// Opens streams on as many connections as the pace has, each by what `stream` makes of its id, so
/// many at once.
pub(super) async fn pour(front: &Front, part: f64, at_once: u32, stream: impl Fn(u32) -> Vec<u8>) {
    let connections = front.pace.connections;
    #[expect(clippy::cast_precision_loss, reason = "a handful of connections")]
    let share = part / connections as f64 / f64::from(at_once);
    let lanes = (0..connections).map(|_| async {
        let mut ticks = front.ticks(share);
        loop {
            ticks.tick().await;
            let Some(mut connection) = Connection::open(front).await else {
                continue;
            };
            let end = loop {
                let done = tokio::select! {
                    _ = ticks.tick() => connection.pour(front, at_once, &stream).await,
                    done = connection.listen(front) => done,
                };
                if let Err(end) = done {
                    break end;
                }
            };
            let since = connection.wire.since.elapsed();
            front.tally.answered(&format!("connections {end}"), since);
        }
    });
    futures::future::join_all(lanes).await;
}

/// Why a connection ended.
type End = String;

struct Connection {
    wire: Wire,
    read: BytesMut,
    /// When each stream was opened: 1, 3, 5, …
    opened: Vec<Instant>,
}

/// One frame that came.
struct Frame {
    kind: u8,
    is_ack: bool,
    stream: u32,
    payload: BytesMut,
}

impl Connection {
    async fn open(front: &Front) -> Option<Self> {
        let wire = front.connect().await?;
        let mut connection = Self {
            wire,
            read: BytesMut::new(),
            opened: Vec::new(),
        };
        let hello = [PREFACE, SETTINGS].concat();
        // What fails here is told when the first stream is opened.
        let _ = connection.send(&hello).await;
        Some(connection)
    }

    async fn pour(
        &mut self,
        front: &Front,
        count: u32,
        stream: impl Fn(u32) -> Vec<u8>,
    ) -> Result<(), End> {
        let mut frames = Vec::new();
        for _ in 0..count {
            let before = u32::try_from(self.opened.len()).unwrap_or(u32::MAX);
            frames.extend(stream(before * 2 + 1));
            self.opened.push(Instant::now());
            front.tally.opened();
        }
        self.send(&frames).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(STUCK, self.wire.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("closed".to_owned()),
            Err(_) => Err("not read".to_owned()),
        }
    }

    /// Takes what comes, and answers what must be answered lest the connection is taken for dead.
    async fn listen(&mut self, front: &Front) -> Result<(), End> {
        // Safe to drop at any await: bytes are either in the buffer or still in the socket.
        match self.wire.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => return Err("closed".to_owned()),
            Ok(_) => {}
        }
        while let Some(frame) = self.frame() {
            let answer = match frame.kind {
                SETTINGS_TYPE if !frame.is_ack => {
                    self.send(&framed(SETTINGS_TYPE, ACK, 0, &[])).await?;
                    continue;
                }
                PING if !frame.is_ack => {
                    self.send(&framed(PING, ACK, 0, &frame.payload)).await?;
                    continue;
                }
                GOAWAY => {
                    let code = frame.payload.get(4..).unwrap_or_default();
                    return Err(format!("told GOAWAY {}", reason(code)));
                }
                RST_STREAM => format!("reset {}", reason(&frame.payload)),
                HEADERS => "answered".to_owned(),
                _ => continue,
            };
            let number = usize::try_from(frame.stream / 2).unwrap_or(usize::MAX);
            if let Some(since) = self.opened.get(number) {
                front.tally.answered(&answer, since.elapsed());
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Option<Frame> {
        let &[high, middle, low, kind, flags, a, b, c, d] = self.read.first_chunk()?;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.read.len() - 9 < length {
            return None;
        }
        self.read.advance(9);
        Some(Frame {
            kind,
            is_ack: flags & ACK != 0,
            stream: u32::from_be_bytes([a, b, c, d]),
            payload: self.read.split_to(length),
        })
    }
}

fn reason(code: &[u8]) -> String {
    let code = code.first_chunk().copied().unwrap_or_default();
    format!("{:?}", Reason::from(u32::from_be_bytes(code)))
}

fn framed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a stream, without its end, in as many frames as they need.
pub(super) fn headers(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let parts = block.chunks(LONGEST);
    let last = parts.len().saturating_sub(1);
    for (number, part) in parts.enumerate() {
        let kind = if number == 0 { HEADERS } else { CONTINUATION };
        let flags = if number == last { END_HEADERS } else { 0 };
        frames.extend(framed(kind, flags, stream, part));
    }
    frames
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    let code = u32::from(Reason::CANCEL).to_be_bytes();
    framed(RST_STREAM, 0, stream, &code)
}

/// A gRPC request's header block (RFC 7541), nothing of it to be remembered.
pub(super) fn block(listener: &Listener) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` are in the static table, and so are the names of the rest
    // but `te`.
    let mut block = vec![0x83, 0x86];
    let mut text = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).unwrap_or_default());
        block.extend(value.as_bytes());
    };
    text(&[0x04], listener.call());
    text(&[0x01], &listener.addr.to_string());
    text(&[0x0f, 0x10], "application/grpc");
    text(&[0x00, 2, b't', b'e'], "trailers");
    block
}
