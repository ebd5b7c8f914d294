//! The mailbox of a system that runs elsewhere, read over HTTP as people read it: it keeps what was
//! accepted, and what is new there becomes what the sink would have kept.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kit::clock::{Clock, Timestamp};
use mailbox::api::{Mail, MailPage, WholeMail};
use serde::de::DeserializeOwned;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    people::People,
    sink::{Accepted, code_in},
};

const PAGE: usize = 500;
/// Mails that are opened at once.
const WINDOW: usize = 16;
const ANSWER: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);

/// Where mails are read.
#[derive(Debug)]
pub struct Mailbox {
    client: Client<HttpConnector, Empty<&'static [u8]>>,
    url: String,
    people: People,
    /// How long it may be away, as a pod is that moves.
    patience: Duration,
    read: Mutex<Read>,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Read {
    /// The last mail that was listed.
    after: Option<Uuid>,
    mails: Vec<Accepted>,
}

impl Mailbox {
    /// At `url`; of the mails that are there, those to `people` are read.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn new(url: &str, people: &People, patience: Duration) -> anyhow::Result<Self> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("{url} is no address of a mailbox"))?;
        ensure!(
            uri.scheme_str() == Some("http") && uri.host().is_some(),
            "{url} is no address of a mailbox: http://HOST:PORT is needed"
        );
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
            people: people.clone(),
            patience,
            read: Mutex::default(),
            count: AtomicUsize::new(0),
        })
    }

    /// How many mails were read so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What was accepted after the first so many.
    ///
    /// # Errors
    /// When it cannot be read for longer than the patience.
    pub async fn accepted_after(&self, first: usize) -> anyhow::Result<Vec<Accepted>> {
        let mut read = self.read.lock().await;
        loop {
            let after = read.after.map(|id| format!("&after={id}"));
            let path = format!("/api/v1/mails?limit={PAGE}{}", after.unwrap_or_default());
            let page: MailPage = self.ask(&path).await?;
            let Some(last) = page.mails.last() else { break };
            let after = last.id;
            let (is_last, now) = (page.next.is_none(), Clock::default().now());
            let ours = page.mails.into_iter().filter(|mail| self.is_ours(mail));
            let opened = stream::iter(ours.map(|mail| self.open(mail, now)));
            let opened: Vec<_> = opened.buffered(WINDOW).try_collect().await?;
            read.mails.extend(opened);
            read.after = Some(after);
            self.count.store(read.mails.len(), Ordering::Relaxed);
            if is_last {
                break;
            }
        }
        Ok(read.mails[first..].to_vec())
    }

    fn is_ours(&self, mail: &Mail) -> bool {
        mail.to.iter().any(|to| self.people.includes(to))
    }

    async fn open(&self, mail: Mail, now: Timestamp) -> anyhow::Result<Accepted> {
        let opened: WholeMail = self.ask(&format!("/api/v1/mails/{}", mail.id)).await?;
        let received = Timestamp::from_rfc3339(&mail.received_at)
            .context("the mailbox names a time that is none")?;
        Ok(Accepted {
            recipient: mail.to.into_iter().next().unwrap_or_default(),
            message_id: mail.message_id,
            code: code_in(&opened.text.unwrap_or_default()).unwrap_or_default(),
            // By the mailbox's clock; the latencies are as right as it is.
            at: Instant::now() - now.since(received),
            is_answer_lost: false,
        })
    }

    /// Asks until there is an answer, as it may be on its way to another node.
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let deadline = Instant::now() + self.patience;
        loop {
            let answer = timeout(ANSWER, self.get(path)).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in {ANSWER:?}")));
            match answer {
                Err(_) if Instant::now() < deadline => sleep(AGAIN).await,
                answer => {
                    return answer
                        .with_context(|| format!("the mailbox at {} cannot be read", self.url));
                }
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let uri = format!("{}{path}", self.url).parse()?;
        let reply = self.client.get(uri).await?;
        let status = reply.status();
        ensure!(status.is_success(), "{path} was answered {status}");
        let body = reply.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body)
            .with_context(|| format!("{path} was not answered as a mailbox does"))
    }
}
