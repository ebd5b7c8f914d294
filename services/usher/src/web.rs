//! Asks over HTTP: Kubernetes, Jaeger, a mailbox, the admin listeners of services. A question is a
//! connection of its own, HTTP/1.1, over TLS where the URL says so; whoever asks reads the answer.

mod trust;
mod url;

use std::{error::Error as _, io, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use kit::words;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

pub(crate) use trust::Trust;
pub(crate) use url::WebUrl;

/// Connection, question and answer together: a mailbox with ten thousand mails is searched in a
/// second or two.
const WITHIN: Duration = Duration::from_secs(30);

/// Whoever answers may be anybody: no more than this is read of it.
const LONGEST_ANSWER: usize = 64 << 20;

/// A server that can be asked.
#[derive(Debug)]
pub(crate) struct Web {
    url: WebUrl,
    trust: Option<Trust>,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer, in words; no full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unanswered(String);

impl Web {
    /// The server at `url`, which shows a certificate of the public authorities.
    pub(crate) fn at(url: WebUrl) -> Self {
        let trust = url.is_https().then(Trust::in_public_authorities);
        Self { url, trust }
    }

    /// The server at `url`, which shows a certificate of these authorities.
    pub(crate) fn trusting(url: WebUrl, trust: Trust) -> Self {
        let trust = url.is_https().then_some(trust);
        Self { url, trust }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &WebUrl {
        &self.url
    }

    /// Asks for what stands under `path`, which begins with a slash and may bring a query.
    pub(crate) async fn get(&self, path: &str) -> Result<Answered, Unanswered> {
        let request = Request::get(path).body(Full::default());
        self.ask(request.map_err(|_| Unanswered(format!("{path} is no path")))?)
            .await
    }

    /// Asks `request`, whose URI is a path under the server's.
    pub(crate) async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answered, Unanswered> {
        let target = self.url.under(request.uri());
        *request.uri_mut() = target.ok_or_else(|| Unanswered("its path is none".to_owned()))?;
        let host = HeaderValue::from_str(self.url.authority());
        let host = host.map_err(|_| Unanswered("its name is none".to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static("usher"));
        let asked = timeout(WITHIN, self.connect_and_ask(request)).await;
        asked.unwrap_or_else(|_| {
            let within = WITHIN.as_secs();
            Err(Unanswered(format!("no answer within {within} s")))
        })
    }

    async fn connect_and_ask(&self, request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        let tcp = TcpStream::connect((self.url.host(), self.url.port())).await;
        let tcp = tcp.map_err(|error| Unanswered(words::of_io(&error)))?;
        match &self.trust {
            Some(trust) => {
                let encrypted = trust.encrypt(tcp, self.url.host()).await;
                talk(encrypted.map_err(Unanswered)?, request).await
            }
            None => talk(tcp, request).await,
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Answered, Unanswered> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let answered = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER);
        let body = body.collect().await;
        let body = body.map_err(|_| Unanswered("its answer is cut off, or too long".to_owned()))?;
        Ok(Answered {
            status,
            body: body.to_bytes(),
        })
    };
    let (mut answered, mut connection) = (std::pin::pin!(answered), std::pin::pin!(connection));
    tokio::select! {
        answered = &mut answered => answered,
        // It ends once the answer is read, which may still have to be handed over; or before the
        // question was sent, and then it alone knows why.
        ended = &mut connection => match (answered.await, ended) {
            (Err(_), Err(error)) => Err(broken(&error)),
            (answered, _) => answered,
        },
    }
}

/// What hyper says of a connection that brings no answer.
fn broken(error: &hyper::Error) -> Unanswered {
    let (mut first, mut cause) = (error, error.source());
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return Unanswered(words::of_io(error));
        }
        // A question that was not sent yet is cancelled, for a reason of the connection's.
        first = inner.downcast_ref().unwrap_or(first);
        cause = inner.source();
    }
    let words = match first.is_incomplete_message() || first.is_canceled() || first.is_closed() {
        true => "the connection was closed",
        false => "what answers there speaks no HTTP/1.1",
    };
    Unanswered(words.to_owned())
}
