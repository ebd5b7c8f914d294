//! Asks the mailbox over HTTP, and says in words why there is no answer.

use std::time::Duration;

use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use kit::{config::service_url, words};
use mailbox::api::Problem;
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, time::timeout};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::exit::{Exit, Failure};

/// How long an answer may take: ten thousand mails are searched in a second or two.
const DEADLINE: Duration = Duration::from_secs(30);
/// Whoever answers there may be anybody.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where the mailbox is.
#[derive(Debug, Args)]
pub(super) struct MailboxTarget {
    /// Where the mailbox speaks HTTP
    #[arg(
        long,
        env = "USHER_MAILBOX_URL",
        default_value = "http://127.0.0.1:8025",
        hide_env_values = true,
        value_parser = plain_url,
        value_name = "URL"
    )]
    mailbox_url: String,
}

/// What is asked for beside a path: names and values, those without a value left out.
pub(super) type Query<'a> = &'a [(&'a str, &'a str)];

/// There is no TLS with it.
fn plain_url(text: &str) -> Result<String, String> {
    let url = service_url(text)?;
    match url.strip_prefix("http://") {
        Some(_) => Ok(url.trim_end_matches('/').to_owned()),
        None => Err("expected http://HOST:PORT, the mailbox speaks no TLS".to_owned()),
    }
}

impl MailboxTarget {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Failure> {
        self.ask(Method::GET, path, query).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Failure> {
        self.ask(Method::DELETE, path, query).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Failure> {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        let target = format!("/api/v1{path}?{}", pairs.finish());
        let answered = timeout(DEADLINE, self.exchange(method, &target)).await;
        let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (status, body) = answered.map_err(|why| self.away(&why))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.is_another());
        }
        let Ok(Problem { error }) = serde_json::from_slice(&body) else {
            return Err(self.is_another());
        };
        Err(match status {
            StatusCode::NOT_FOUND => Failure::new(Exit::NotFound, error)
                .hint("`usher mailbox list` shows those that are there."),
            StatusCode::BAD_REQUEST => Failure::new(Exit::Usage, error),
            _ => Failure::new(Exit::Unavailable, error),
        })
    }

    /// One request on a connection of its own.
    async fn exchange(&self, method: Method, target: &str) -> Result<(StatusCode, Bytes), String> {
        let host = self.mailbox_url.trim_start_matches("http://");
        let address = match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => format!("{host}:80"),
        };
        let stream = TcpStream::connect(&*address).await;
        let stream = stream.map_err(|error| words::of_io(&error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| broken(&error))?;
        // Ends with the sender.
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(target);
        let request = request.header(HOST, host).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?
            .into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map_err(|_| "the answer broke off".to_owned())?;
        Ok((head.status, body.to_bytes()))
    }

    fn away(&self, why: &str) -> Failure {
        let message = format!(
            "The mailbox does not answer at {}: {why}.",
            self.mailbox_url
        );
        Failure::new(Exit::Unavailable, message).hint(
            "`usher mailbox serve` starts one on this machine; for one elsewhere forward its HTTP port (8025), and \
             name it by --mailbox-url or USHER_MAILBOX_URL.",
        )
    }

    fn is_another(&self) -> Failure {
        let message = format!("What answers at {} is no mailbox.", self.mailbox_url);
        Failure::new(Exit::Unavailable, message)
            .hint("Correct --mailbox-url or USHER_MAILBOX_URL: the mailbox's HTTP port is 8025.")
    }
}

/// What hyper says of a connection that brings no answer.
fn broken(error: &hyper::Error) -> String {
    let words = match error.is_parse() {
        true => "what answers there speaks no HTTP/1.1",
        false => "the connection was closed",
    };
    words.to_owned()
}

/// Reads the id of a mail.
pub(super) fn mail_id(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text)
        .map_err(|_| "expected the id of a mail, as `usher mailbox list` shows it".to_owned())
}
