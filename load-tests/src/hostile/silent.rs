//! Connections that are opened and held: without a byte, with a preface only, or with a byte now and
//! then of something that never ends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use super::{
    frames::{PREFACE, SETTINGS},
    front::{Front, Wire},
};

const EVERY: Duration = Duration::from_secs(1);
/// A header of HTTP/1 that goes on; to a listener of HTTP/2 no preface, but not at once.
const DRIPS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r";
const LINES: &[u8] = b"GET /livez HTTP/1.1\r\nx: ";

pub(super) async fn run(front: &Front) {
    let is_admin = front.listener.is_admin;
    front
        .each(1.0, |number, wire| async move {
            let (what, end) = match number % 3 {
                0 => ("without a byte", held(wire, &[], &[]).await),
                1 => {
                    let hello = [PREFACE, SETTINGS].concat();
                    ("after their preface", held(wire, &hello, &[]).await)
                }
                _ => {
                    let drips = if is_admin { LINES } else { DRIPS };
                    ("byte by byte", held(wire, &[], drips).await)
                }
            };
            format!("{what}: {end}")
        })
        .await;
}

/// Sends `first`, then a byte a second of `drips` and of `x` for ever; returns when the listener
/// ends it.
pub(super) async fn held(mut wire: Wire, first: &[u8], drips: &[u8]) -> &'static str {
    if wire.write_all(first).await.is_err() {
        return "closed";
    }
    let mut rest = drips.iter();
    let mut next = Instant::now() + EVERY;
    let mut read = [0; 1024];
    loop {
        tokio::select! {
            count = wire.read(&mut read) => match count {
                Ok(0) => return "closed",
                Err(_) => return "reset",
                Ok(_) => {} // settings, pings, or an answer: it is not ours to close
            },
            () = sleep(next - Instant::now()), if !drips.is_empty() => {
                next += EVERY;
                let byte = rest.next().unwrap_or(&b'x');
                if wire.write_all(&[*byte]).await.is_err() {
                    return "closed";
                }
            }
        }
    }
}
