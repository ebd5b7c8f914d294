//! The octets between us and the mail server, plain or encrypted: commands out, replies in, and
//! nothing in that comes before its time. `connect` opens it, `conversation` speaks over it.

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
};

use kit::words;
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    task::{unconstrained, yield_now},
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::tls::Trust;
use crate::domain::{Reply, ReplyReader};

/// A connection to a mail server.
pub(super) struct Wire {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    /// What was read and answers nothing yet.
    ahead: Vec<u8>,
    is_in_step: bool,
}

/// Why nothing more can be said over it, for people.
pub(super) struct Broken(pub(super) String);

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self(words::of_io(&error))
    }
}

impl Wire {
    /// Over a connected socket.
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        // Each command waits for its answer: Nagle's delay would be added to every one.
        tcp.set_nodelay(true)?;
        Ok(Self {
            stream: Either::Left(tcp),
            ahead: Vec::new(),
            is_in_step: true,
        })
    }

    /// The same connection, encrypted from here on.
    pub(super) async fn encrypt(mut self, trust: &Trust) -> Result<Self, Broken> {
        // What came ahead of the handshake was said by anybody, and would be read as if it had come
        // through it (CVE-2011-0411).
        self.quiet().await?;
        let Either::Left(tcp) = self.stream else {
            return Err(Broken("it is encrypted already".to_owned()));
        };
        let tls = trust.encrypt(tcp).await.map_err(Broken)?;
        Ok(Self {
            stream: Either::Right(Box::new(tls)),
            ..self
        })
    }

    /// Our own address on it.
    pub(super) fn local_ip(&self) -> io::Result<IpAddr> {
        let tcp = match &self.stream {
            Either::Left(tcp) => tcp,
            Either::Right(tls) => tls.get_ref().0,
        };
        tcp.local_addr().map(|address| address.ip())
    }

    /// Says something that is answered only now.
    pub(super) async fn say(&mut self, octets: &[u8]) -> Result<(), Broken> {
        // Whatever has come until here answers something else.
        self.quiet().await?;
        self.stream.write_all(octets).await?;
        self.flush().await
    }

    /// Sends what encryption may hold back.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        Ok(self.stream.flush().await?)
    }

    /// Says as much of something as there is room for at once.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    /// The next reply. Dropped half-way, it leaves a connection that is of no more use.
    pub(super) async fn reply(&mut self) -> Result<Reply, Broken> {
        let mut reader = ReplyReader::default();
        loop {
            let (used, decided) = reader.read(&self.ahead);
            self.ahead.drain(..used);
            if let Some(decided) = decided {
                let in_step = matches!(&decided, Ok(reply) if !reply.is_endless);
                self.is_in_step &= in_step;
                return decided.map_err(|no_reply| Broken(no_reply.0));
            }
            let mut octets = [0; 4_096];
            match self.stream.read(&mut octets).await? {
                0 => return Err(closed()),
                read => self.ahead.extend_from_slice(&octets[..read]),
            }
        }
    }

    /// Looks whether anything came that nobody asked for, or the end.
    pub(super) async fn quiet(&mut self) -> Result<(), Broken> {
        if self.ahead.is_empty() {
            // The runtime looks at its sockets before this task goes on: what is there by now is
            // seen.
            yield_now().await;
            let mut octets = [0; 256];
            let mut buffer = ReadBuf::new(&mut octets);
            let stream = &mut self.stream;
            // Unconstrained: a task that has done much would be told that there is nothing.
            let polled = poll_fn(
                |cx| match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => Poll::Ready(None),
                    Poll::Ready(read) => Poll::Ready(Some(read)),
                },
            );
            match unconstrained(polled).await {
                None => {}
                Some(read) => {
                    read?;
                    if buffer.filled().is_empty() {
                        return Err(closed());
                    }
                    self.ahead.extend_from_slice(buffer.filled());
                }
            }
        }
        if self.ahead.is_empty() && self.is_in_step {
            return Ok(());
        }
        self.is_in_step = false;
        // Its code alone: behind a login it may repeat the password.
        let code = self
            .ahead
            .get(..3)
            .filter(|code| code.iter().all(u8::is_ascii_digit));
        let code = code.map(|code| format!(" ({})", String::from_utf8_lossy(code)));
        let code = code.unwrap_or_default();
        Err(Broken(format!("an answer came ahead of time{code}")))
    }

    /// Nothing more may be said over it: what we said and what is answered no longer fit.
    pub(super) fn give_up(&mut self) {
        self.is_in_step = false;
    }

    pub(super) fn is_in_step(&self) -> bool {
        self.is_in_step
    }
}

pub(super) fn closed() -> Broken {
    Broken("the connection was closed".to_owned())
}
