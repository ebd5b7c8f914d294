//! The smallest HTTP client that can ask a probe: one GET over plain HTTP, for `doctor`.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The header `date`: the server's clock, in whole seconds.
    pub(crate) date: Option<String>,
    pub(crate) body: String,
}

/// Asks `base` (`http://HOST:PORT`) for `path`, for three seconds at most.
///
/// # Errors
/// When nobody answers or what answers speaks no HTTP.
pub(crate) async fn get(base: &str, path: &str) -> anyhow::Result<Reply> {
    let host = base
        .strip_prefix("http://")
        .context("only http:// can be asked")?
        .trim_end_matches('/');
    let asked = timeout(Duration::from_secs(3), async {
        let mut stream = TcpStream::connect(host).await?;
        // HTTP/1.0: the reply ends where the connection ends, never in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut reply = Vec::new();
        stream.take(1 << 20).read_to_end(&mut reply).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&reply).into_owned())
    });
    let reply = asked.await.context("no answer within three seconds")??;
    let (head, body) = reply
        .split_once("\r\n\r\n")
        .context("the answer is no HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("the answer is no HTTP")?;
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("date").then(|| value.to_owned())
    });
    Ok(Reply {
        status,
        date,
        body: body.to_owned(),
    })
}
