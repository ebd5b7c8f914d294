//! Lines and mails on the mail server's side of a connection, plain or encrypted.

use std::io;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
    copy, empty, join, sink,
};
use tokio_rustls::TlsAcceptor;

/// A client that never ends its line shall not fill the memory.
const LONGEST_LINE: u64 = 4_096;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Wire(BufReader<Box<dyn Stream>>);

impl Wire {
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    pub(super) async fn encrypt(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        // What a client sent ahead of the handshake is thrown away with the buffer, as RFC 3207 §6
        // demands.
        let plain = std::mem::replace(self, Self::new(join(empty(), sink())))
            .0
            .into_inner();
        *self = Self::new(acceptor.accept(plain).await?);
        Ok(())
    }

    /// The next line without its end.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match (&mut self.0)
            .take(LONGEST_LINE)
            .read_line(&mut line)
            .await?
        {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Reads to the final dot; the dots that RFC 5321 §4.5.2 stuffs are taken out again.
    pub(super) async fn mail(&mut self) -> io::Result<Vec<u8>> {
        let mut mail = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.0.read_until(b'\n', &mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == b".\r\n" {
                return Ok(mail);
            }
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    pub(super) async fn write(&mut self, text: &str) -> io::Result<()> {
        self.write_octets(format!("{text}\r\n").as_bytes()).await
    }

    pub(super) async fn write_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.write_all(octets).await?;
        self.0.flush().await
    }

    /// Reads on until the client gives up.
    pub(super) async fn swallow(&mut self) {
        // So that the client meets silence, and not a full buffer that stops its writing.
        let _ = copy(&mut self.0, &mut sink()).await;
    }
}
