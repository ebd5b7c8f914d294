//! Asks the mailbox over HTTP, and says in words why there is no answer.

use clap::Args;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use mailbox::api::{MailPage, Problem};
use serde::de::DeserializeOwned;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::{
    exit::{Exit, Failure},
    web::{Answered, Web, WebUrl},
};

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
    mailbox_url: WebUrl,
}

/// There is no TLS with it.
fn plain_url(text: &str) -> Result<WebUrl, String> {
    let url: WebUrl = text.parse()?;
    match url.is_https() {
        true => Err("expected http://HOST:PORT, the mailbox speaks no TLS".to_owned()),
        false => Ok(url),
    }
}

impl MailboxTarget {
    pub(super) fn client(self) -> MailboxClient {
        MailboxClient::at(self.mailbox_url)
    }
}

/// What is asked for beside a path: names and values, those without a value left out.
type Query<'a> = &'a [(&'a str, &'a str)];

#[derive(Debug)]
pub(crate) struct MailboxClient(Web);

impl MailboxClient {
    pub(crate) fn at(url: WebUrl) -> Self {
        Self(Web::at(url))
    }

    pub(crate) fn url(&self) -> &WebUrl {
        self.0.url()
    }

    /// A page of mails, oldest first.
    pub(crate) async fn page(&self, query: Query<'_>) -> Result<MailPage, Failure> {
        self.get("/mails", query).await
    }

    /// A mail as it came.
    pub(crate) async fn raw(&self, id: Uuid) -> Result<Vec<u8>, Failure> {
        let answered = self
            .ask(Method::GET, &format!("/mails/{id}/raw"), &[])
            .await?;
        Ok(answered.body.to_vec())
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Failure> {
        self.read(&self.ask(Method::GET, path, query).await?)
    }

    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Failure> {
        self.read(&self.ask(Method::DELETE, path, query).await?)
    }

    fn read<T: DeserializeOwned>(&self, answered: &Answered) -> Result<T, Failure> {
        serde_json::from_slice(&answered.body).map_err(|_| self.is_another())
    }

    async fn ask(&self, method: Method, path: &str, query: Query<'_>) -> Result<Answered, Failure> {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        let target = format!("/api/v1{path}?{}", pairs.finish());
        let request = Request::builder().method(method).uri(target);
        let request = request.body(Full::default()).map_err(anyhow::Error::from)?;
        let answered = self.0.ask(request).await;
        let answered = answered.map_err(|why| self.away(&why.to_string()))?;
        if answered.status.is_success() {
            return Ok(answered);
        }
        let Ok(Problem { error }) = serde_json::from_slice(&answered.body) else {
            return Err(self.is_another());
        };
        Err(match answered.status {
            StatusCode::NOT_FOUND => Failure::new(Exit::NotFound, error)
                .hint("`usher mailbox list` shows those that are there."),
            StatusCode::BAD_REQUEST => Failure::new(Exit::Usage, error),
            _ => Failure::new(Exit::Unavailable, error),
        })
    }

    fn away(&self, why: &str) -> Failure {
        let message = format!("The mailbox does not answer at {}: {why}.", self.url());
        Failure::new(Exit::Unavailable, message).hint(
            "`usher mailbox serve` starts one on this machine; for one elsewhere forward its HTTP port (8025), and \
             name it by --mailbox-url or USHER_MAILBOX_URL.",
        )
    }

    fn is_another(&self) -> Failure {
        let message = format!("What answers at {} is no mailbox.", self.url());
        Failure::new(Exit::Unavailable, message)
            .hint("Correct --mailbox-url or USHER_MAILBOX_URL: the mailbox's HTTP port is 8025.")
    }
}

/// Reads the id of a mail.
pub(super) fn mail_id(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text)
        .map_err(|_| "expected the id of a mail, as `usher mailbox list` shows it".to_owned())
}
