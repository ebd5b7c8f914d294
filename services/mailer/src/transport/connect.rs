//! From a mail server's name to a connection that is ready for mails: TCP, TLS, EHLO, AUTH, each with its deadline.
//! `smtp` keeps the result and `conversation` speaks over it.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use lettre::transport::smtp::{
    authentication::Mechanism,
    client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters},
    commands::Ehlo,
    extension::ClientId,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use super::{
    deadlines::Deadlines,
    socket::{Fuse, Socket},
    url::{SmtpServer, Tls},
};

/// A connection and what is known of it.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    pub(super) pipelining: bool,
    pub(super) fuse: Fuse,
}

/// Why there is none, for people; it names the phase.
pub(super) struct NotConnected(pub(super) String);

/// Trust in the mail server's certificate: the public authorities, and ours.
pub(super) fn trust(server: &SmtpServer) -> anyhow::Result<TlsParameters> {
    use anyhow::Context as _;
    let mut trust = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.authority {
        let unreadable = || {
            format!(
                "USHER_MAIL_URL: the certificates in {} cannot be read.",
                path.display()
            )
        };
        let pem = std::fs::read(path).with_context(unreadable)?;
        trust = trust.add_root_certificate(Certificate::from_pem(&pem).with_context(unreadable)?);
    }
    trust
        .build()
        .context("USHER_MAIL_URL: TLS cannot be set up for this host.")
}

/// Connects. No mail and no password is sent before TLS is as the URL demands it.
pub(super) async fn connect(
    server: &SmtpServer,
    trust: &TlsParameters,
    hello: &ClientId,
    deadlines: &Deadlines,
) -> Result<Connection, NotConnected> {
    let fuse = Fuse::default();
    let address = (server.host.as_str(), server.port);
    let tcp = within(
        "connect",
        deadlines.connect_deadline,
        TcpStream::connect(address),
    )
    .await?;
    let socket = Box::new(Socket::new(tcp, fuse.clone()).map_err(|e| NotConnected(e.to_string()))?);
    let stream: Box<dyn AsyncTokioStream> = match server.tls {
        Tls::Implicit => {
            within(
                "TLS",
                deadlines.tls_deadline,
                encrypt(socket, trust.clone()),
            )
            .await?
        }
        _ => socket,
    };
    let greeting = AsyncSmtpConnection::connect_with_transport(stream, hello);
    let mut smtp = within("greeting", deadlines.greeting_deadline, greeting).await?;
    let start_tls = match server.tls {
        Tls::Required => true,
        Tls::Opportunistic => smtp.can_starttls(),
        Tls::Implicit | Tls::Off => false,
    };
    if start_tls {
        within(
            "STARTTLS",
            deadlines.tls_deadline,
            smtp.starttls(trust.clone(), hello),
        )
        .await?;
    }
    // lettre does not tell whether PIPELINING was offered, so EHLO is said once more. That also is the first answer
    // that must have come through TLS: one smuggled in before it is out of step from here on, and DATA's 354 fails.
    let offer = within(
        "EHLO",
        deadlines.greeting_deadline,
        smtp.command(Ehlo::new(hello.clone())),
    )
    .await?;
    let pipelining = offer
        .message()
        .any(|line| line.trim().eq_ignore_ascii_case("PIPELINING"));
    if let Some(credentials) = &server.credentials {
        if server.tls == Tls::Opportunistic && !start_tls {
            return Err(NotConnected(
                "AUTH: the mail server offers no TLS to protect the password".to_owned(),
            ));
        }
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        within(
            "AUTH",
            deadlines.greeting_deadline,
            smtp.auth(&mechanisms, credentials.expose()),
        )
        .await?;
    }
    Ok(Connection {
        smtp,
        pipelining,
        fuse,
    })
}

async fn within<T, E: std::fmt::Display>(
    phase: &str,
    deadline: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, NotConnected> {
    match timeout(deadline, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(NotConnected(format!("{phase}: {error}"))),
        Err(_) => Err(NotConnected(format!(
            "{phase}: no answer within {deadline:?}"
        ))),
    }
}

/// TLS from the first byte on.
#[expect(
    deprecated,
    reason = "lettre has no other way to put its TLS under a connection on our own socket"
)]
async fn encrypt(
    socket: Box<Socket>,
    trust: TlsParameters,
) -> Result<Box<dyn AsyncTokioStream>, lettre::transport::smtp::Error> {
    let peer = socket.peer_addr().ok();
    let mut stream =
        lettre::transport::smtp::client::AsyncNetworkStream::use_existing_tokio1(socket);
    stream.upgrade_tls(trust).await?;
    Ok(Box::new(Encrypted {
        stream: stream.compat(),
        peer,
    }))
}

/// lettre's TLS stream, as lettre takes it back.
#[derive(Debug)]
struct Encrypted<S> {
    stream: Compat<S>,
    peer: Option<SocketAddr>,
}

impl<S: fmt::Debug + Send + Sync + Unpin> AsyncTokioStream for Encrypted<S>
where
    Compat<S>: AsyncRead + AsyncWrite,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: Unpin> AsyncRead for Encrypted<S>
where
    Compat<S>: AsyncRead,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Unpin> AsyncWrite for Encrypted<S>
where
    Compat<S>: AsyncWrite,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
