//! Lines and messages of one connection, each within its limits of length and time; answers are
//! gathered while commands are pipelined.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// RFC 5321 §4.5.3.1.4 asks for 512 octets, extensions for some more, AUTH for 12,288.
const LONGEST_LINE: u64 = 16 * 1024;
/// What is read of a message at once.
const PIECE: u64 = 64 * 1024;
/// The largest message.
pub(super) const LARGEST: usize = 10 << 20;
/// Of all messages that are being sent, in pieces.
const ROOM: usize = 32 * (1 << 20) / PIECE as usize;
/// How long a line may take. RFC 5321 §4.5.3.2.7 asks for five minutes.
const LINE: Duration = Duration::from_secs(5 * 60);
/// How long a message may take.
const MESSAGE: Duration = Duration::from_secs(10 * 60);
/// How long a client may take to take answers.
const ANSWER: Duration = Duration::from_secs(60);

/// Memory for all messages that are being sent. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

/// A command line.
#[derive(Debug)]
pub(super) enum Line {
    /// With its end.
    Whole(Vec<u8>),
    TooLong,
    /// The client has left.
    End,
}

/// What came after DATA.
#[derive(Debug)]
pub(super) enum Message {
    Whole(Body),
    TooLarge,
    NoRoom,
}

/// A message and the room that it takes.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) octets: Vec<u8>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    /// Answers that wait for the end of a pipelined group.
    out: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Without it each answer would wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        Self {
            stream: BufReader::with_capacity(8 * 1024, stream),
            out: Vec::new(),
        }
    }

    /// Says a line, with what is to be read next, or at the latest with `flush`.
    pub(super) fn say(&mut self, answer: &str) {
        self.out.extend_from_slice(answer.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let written = timeout(ANSWER, self.stream.write_all(&self.out)).await;
        self.out.clear();
        written?
    }

    /// The next command line.
    pub(super) async fn line(&mut self) -> io::Result<Line> {
        // Answers leave before a line is waited for, and not between two of a pipelined group.
        if !self.stream.buffer().contains(&b'\n') {
            self.flush().await?;
        }
        timeout(LINE, self.read_line()).await?
    }

    async fn read_line(&mut self) -> io::Result<Line> {
        let mut is_too_long = false;
        loop {
            let piece = self.piece(LONGEST_LINE).await?;
            match piece.last() {
                Some(b'\n') if is_too_long => return Ok(Line::TooLong),
                Some(b'\n') => return Ok(Line::Whole(piece)),
                // Its end is looked for, so that the rest is not taken for commands.
                Some(_) if piece.len() as u64 == LONGEST_LINE => is_too_long = true,
                Some(_) | None => return Ok(Line::End),
            }
        }
    }

    /// Reads to the final dot; nothing where the client has left. What is too large is read, too,
    /// and not kept.
    pub(super) async fn message(&mut self, room: &Room) -> io::Result<Option<Message>> {
        self.flush().await?;
        timeout(MESSAGE, self.read_message(room)).await?
    }

    async fn read_message(&mut self, room: &Room) -> io::Result<Option<Message>> {
        let mut message = Message::Whole(Body::default());
        let (mut is_line_start, mut last) = (true, b'\n');
        loop {
            let piece = self.piece(PIECE).await?;
            let Some(end) = piece.last() else {
                return Ok(None);
            };
            // Only between two CRLF: a bare LF would let a message end where others see none.
            if is_line_start && piece == b".\r\n" {
                return Ok(Some(message));
            }
            // RFC 5321 §4.5.2: the dot that was put before a dot is taken away.
            let stuffed = piece.strip_prefix(b".").filter(|_| is_line_start);
            message.add(stuffed.unwrap_or(&piece), room);
            is_line_start = piece.ends_with(b"\r\n") || (last == b'\r' && piece == b"\n");
            last = *end;
        }
    }

    /// A line, or as much of it.
    async fn piece(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        let mut limited = (&mut self.stream).take(most);
        limited.read_until(b'\n', &mut piece).await?;
        Ok(piece)
    }
}

impl Message {
    fn add(&mut self, piece: &[u8], room: &Room) {
        let Self::Whole(body) = self else { return };
        if body.octets.len() + piece.len() > LARGEST {
            *self = Self::TooLarge;
        } else if !body.has_room_for(piece.len(), room) {
            *self = Self::NoRoom;
        } else {
            body.octets.extend_from_slice(piece);
        }
    }
}

impl Body {
    fn has_room_for(&mut self, more: usize, room: &Room) -> bool {
        let taken = self
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (self.octets.len() + more).div_ceil(PIECE as usize);
        let Ok(lacking) = u32::try_from(needed.saturating_sub(taken)) else {
            return false;
        };
        let Ok(got) = room.0.clone().try_acquire_many_owned(lacking) else {
            return false;
        };
        match &mut self.room {
            Some(room) => room.merge(got),
            None => self.room = Some(got),
        }
        true
    }
}
