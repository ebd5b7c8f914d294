//! What a connection says first: which HTTP it speaks. One that says nothing costs no more than its
//! socket.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// RFC 9113 §3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The version of HTTP that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Or what is none; its reader will say so.
    Http1,
    Http2,
}

/// Reads as far as it takes to tell, and answers with what was read.
pub(super) async fn preface(stream: &mut TcpStream) -> io::Result<(Speaks, Vec<u8>)> {
    let mut said = Vec::with_capacity(PREFACE.len());
    while said.len() < PREFACE.len() {
        let mut rest = (&mut *stream).take((PREFACE.len() - said.len()) as u64);
        if rest.read_buf(&mut said).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&said) {
            return Ok((Speaks::Http1, said));
        }
    }
    Ok((Speaks::Http2, said))
}
