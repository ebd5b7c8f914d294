//! The open `Deliver` streams, one to each mailer: how much each may still take, and what they say.

use std::{collections::HashMap, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, SelectAll},
};
use kit::{random, serve::Client};
use proto::mailer::{
    DeliverRequest, DeliverResponse, deliver_response::Message,
    mailer_service_client::MailerServiceClient,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::stream::Stream;
use crate::domain::{mail::Turn, schedule::jittered};

/// How long a mailer may take to open a stream.
const OPENING: Duration = Duration::from_secs(5);
/// Wait before a stream is opened again, doubled with each failure in a row.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// And not beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Names one stream over the life of the process.
pub(super) type StreamId = u64;

/// What happens on streams.
#[derive(Debug)]
pub(super) enum Event {
    /// A mailer takes mails from now on.
    Ready,
    /// The mailer said something.
    Said(StreamId, Message),
    /// A stream is over; what it left unanswered is to be offered again.
    Ended(StreamId),
    /// A mailer could not be reached.
    Unreachable,
}

/// Both directions of a new stream.
type Both = (
    mpsc::UnboundedSender<DeliverRequest>,
    Streaming<DeliverResponse>,
);

/// What a stream says; nothing when it is over.
type Said = Option<Result<DeliverResponse, Status>>;

/// All streams.
pub(super) struct Streams {
    mailers: Vec<Client>,
    /// Failures in a row, by mailer.
    failures: Vec<u32>,
    open: HashMap<StreamId, Stream>,
    opening: FuturesUnordered<BoxFuture<'static, (usize, Result<Both, Status>)>>,
    said: SelectAll<BoxStream<'static, (StreamId, Said)>>,
    next_id: StreamId,
}

impl Streams {
    /// Begins to open a stream to each mailer.
    pub(super) fn new(mailers: Vec<Client>) -> Self {
        let mut streams = Self {
            failures: vec![0; mailers.len()],
            mailers,
            open: HashMap::new(),
            opening: FuturesUnordered::new(),
            said: SelectAll::new(),
            next_id: 0,
        };
        for mailer in 0..streams.mailers.len() {
            streams.reopen(mailer, Duration::ZERO);
        }
        streams
    }

    /// The next thing that happens; cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                Some((mailer, opened)) = self.opening.next(), if !self.opening.is_empty() => {
                    if let Some(event) = self.opened(mailer, opened) {
                        return event;
                    }
                }
                Some((id, said)) = self.said.next(), if !self.said.is_empty() => {
                    if let Some(event) = self.hear(id, said) {
                        return event;
                    }
                }
                else => std::future::pending().await,
            }
        }
    }

    /// What has happened already, so that a batch of results is settled together.
    pub(super) fn ready(&mut self) -> Option<Event> {
        self.next().now_or_never()
    }

    /// Sends a mail on the stream with the most room for its turn, and says on which.
    pub(super) fn send(&mut self, turn: Turn, request: DeliverRequest) -> Option<StreamId> {
        let now = Instant::now();
        let free = self
            .open
            .iter_mut()
            .filter(|(_, stream)| stream.room(now, turn) > 0);
        let (id, stream) = free.max_by_key(|(_, stream)| stream.room(now, turn))?;
        stream.send(turn, request).then_some(*id)
    }

    /// Notes that a mail was answered.
    pub(super) fn answered(&mut self, id: StreamId, turn: Turn) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.answered(turn);
        }
    }

    /// How many more mails the streams take just now.
    pub(super) fn room(&self, turn: Turn) -> usize {
        let now = Instant::now();
        self.open
            .values()
            .map(|stream| stream.room(now, turn))
            .sum()
    }

    /// How many unanswered mails the streams that are in use may hold together; 0 when no mailer takes mails.
    pub(super) fn window(&self) -> usize {
        let now = Instant::now();
        self.open.values().map(|stream| stream.window(now)).sum()
    }

    /// Sends nothing more on this stream for a while.
    pub(super) fn pause(&mut self, id: StreamId, wait: Duration) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.pause(Instant::now() + wait);
        }
    }

    /// When the first pause ends.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        let now = Instant::now();
        self.open
            .values()
            .filter_map(Stream::paused_until)
            .filter(|until| *until > now)
            .min()
    }

    /// Opens no more streams.
    pub(super) fn close(&mut self) {
        self.opening.clear();
        self.mailers.clear();
    }

    fn opened(&mut self, mailer: usize, opened: Result<Both, Status>) -> Option<Event> {
        let (requests, responses) = match opened {
            Ok(opened) => opened,
            Err(status) => {
                tracing::debug!(code = ?status.code(), "A delivery stream cannot be opened.");
                self.failed(mailer);
                return Some(Event::Unreachable);
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let responses = responses.map(move |response| (id, Some(response)));
        let end = futures::stream::once(async move { (id, None) });
        self.said.push(responses.chain(end).boxed());
        self.open.insert(id, Stream::new(mailer, requests));
        None
    }

    fn hear(&mut self, id: StreamId, said: Said) -> Option<Event> {
        let stream = self.open.get_mut(&id)?;
        let mailer = stream.mailer();
        match said {
            Some(Ok(response)) => match response.message? {
                Message::Hello(hello) => {
                    stream.greet(hello.window);
                    self.failures[mailer] = 0;
                    tracing::info!(window = hello.window, "The mailer takes mails.");
                    return Some(Event::Ready);
                }
                Message::Draining(_) => {
                    stream.drain();
                    self.reopen(mailer, SHORTEST_WAIT); // its successor; this one only answers what it holds
                }
                said => return Some(Event::Said(id, said)),
            },
            // A failed stream says so and ends; either way its end is what counts, once.
            Some(Err(_)) | None => {
                let draining = stream.is_draining();
                self.open.remove(&id);
                if !draining {
                    tracing::warn!("The mailer's stream broke; it is opened again.");
                    self.failed(mailer);
                }
                return Some(Event::Ended(id));
            }
        }
        None
    }

    fn failed(&mut self, mailer: usize) {
        let failures = self.failures[mailer];
        self.failures[mailer] = failures.saturating_add(1);
        self.reopen(
            mailer,
            (SHORTEST_WAIT * 2_u32.pow(failures.min(6))).min(LONGEST_WAIT),
        );
    }

    fn reopen(&mut self, mailer: usize, wait: Duration) {
        let Some(client) = self.mailers.get(mailer).cloned() else {
            return;
        };
        let wait = jittered(wait, random::fraction());
        let opening = async move {
            sleep(wait).await;
            let (requests, receiver) = mpsc::unbounded_channel();
            let mut client = MailerServiceClient::new(client);
            let opened = timeout(
                OPENING,
                client.deliver(UnboundedReceiverStream::new(receiver)),
            )
            .await;
            let opened = opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
            (
                mailer,
                opened.map(|response| (requests, response.into_inner())),
            )
        };
        self.opening.push(opening.boxed());
    }
}
