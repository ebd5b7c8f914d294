//! The open `Deliver` streams, one to each mailer: how much each may still take, and what they say.
//! A stream that breaks is opened again by itself; `mail_loop` hears of its end and offers what it
//! left unanswered to another one.

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
use tonic::{Code, Status, Streaming};

use crate::domain::{Turn, jittered};

/// How long a mailer may take to open a stream.
const OPENING: Duration = Duration::from_secs(5);
/// Wait before a stream is opened again, doubled with each failure in a row.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// And not beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Names one stream over the life of the process.
pub(super) type StreamId = u64;

#[derive(Debug)]
pub(super) enum StreamEvent {
    /// A mailer takes mails from now on.
    Ready,
    Said(StreamId, Message),
    /// A stream is over; what it left unanswered is to be offered again.
    Ended(StreamId),
    /// A mailer could not be reached.
    Unreachable,
}

pub(super) struct Streams {
    mailers: Vec<Client>,
    /// Failures in a row, by mailer.
    failures: Vec<u32>,
    open: HashMap<StreamId, OpenStream>,
    opening: FuturesUnordered<BoxFuture<'static, (usize, Result<BothWays, Status>)>>,
    said: SelectAll<BoxStream<'static, (StreamId, Said)>>,
    next_id: StreamId,
}

/// Both directions of a new stream.
type BothWays = (
    mpsc::UnboundedSender<DeliverRequest>,
    Streaming<DeliverResponse>,
);

/// What a stream says; nothing when it is over.
type Said = Option<Result<DeliverResponse, Status>>;

/// A stream, seen from the side that sends: what the mailer takes, and what it has not answered
/// yet.
#[derive(Debug)]
struct OpenStream {
    /// Which of the mailers it goes to.
    mailer: usize,
    requests: mpsc::UnboundedSender<DeliverRequest>,
    /// What Hello said; nothing is sent before it.
    window: usize,
    unanswered: usize,
    /// Of these: mails that were tried before.
    unanswered_later: usize,
    paused_until: Option<Instant>,
    /// The mailer only answers what it holds.
    is_draining: bool,
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
    pub(super) async fn next(&mut self) -> StreamEvent {
        loop {
            // An arm whose set is empty is out of this round; what fills it is done between two
            // calls.
            let event = tokio::select! {
                Some((mailer, opened)) = self.opening.next() => self.opened(mailer, opened),
                Some((id, said)) = self.said.next() => self.hear(id, said),
                else => std::future::pending().await,
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// What has happened already.
    pub(super) fn ready(&mut self) -> Option<StreamEvent> {
        self.next().now_or_never()
    }

    /// Sends a mail on the stream with the most room for its turn, and says on which.
    pub(super) fn send(&mut self, turn: Turn, request: DeliverRequest) -> Option<StreamId> {
        let now = Instant::now();
        // The roomiest, so that a mailer that answers slowly gets less.
        let roomiest = self
            .open
            .iter_mut()
            .max_by_key(|(_, stream)| stream.room(now, turn));
        let (id, stream) = roomiest.filter(|(_, stream)| stream.room(now, turn) > 0)?;
        if stream.requests.send(request).is_err() {
            // It is over and its end not yet heard: with a window it would be the roomiest again.
            stream.window = 0;
            return None;
        }
        stream.unanswered += 1;
        stream.unanswered_later += usize::from(turn == Turn::Later);
        Some(*id)
    }

    pub(super) fn answered(&mut self, id: StreamId, turn: Turn) {
        if let Some(stream) = self.open.get_mut(&id) {
            let later = usize::from(turn == Turn::Later);
            stream.unanswered = stream.unanswered.saturating_sub(1);
            stream.unanswered_later = stream.unanswered_later.saturating_sub(later);
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

    /// How many more mails of any kind the streams take just now.
    pub(super) fn free(&self) -> usize {
        let now = Instant::now();
        self.open.values().map(|stream| stream.free(now)).sum()
    }

    /// How many unanswered mails the streams that are in use may hold together; 0 when no mailer
    /// takes mails.
    pub(super) fn window(&self) -> usize {
        let now = Instant::now();
        self.open.values().map(|stream| stream.window(now)).sum()
    }

    /// Sends nothing more on this stream for a while.
    pub(super) fn pause(&mut self, id: StreamId, wait: Duration) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.paused_until = Some(Instant::now() + wait);
        }
    }

    /// When the first pause ends.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let pauses = self.open.values().filter_map(|stream| stream.paused_until);
        pauses.filter(|until| *until > now).min()
    }

    pub(super) fn close(&mut self) {
        // With no mailers a stream that ends from now on is not opened again.
        self.opening.clear();
        self.mailers.clear();
    }

    fn opened(&mut self, mailer: usize, opened: Result<BothWays, Status>) -> Option<StreamEvent> {
        let (requests, responses) = match opened {
            Ok(opened) => opened,
            Err(status) => {
                // Said where it begins: it is tried again every two seconds. A mailer that is away
                // is told of by readiness.
                if status.code() == Code::ResourceExhausted && self.failures[mailer] == 0 {
                    tracing::warn!(
                        "A mailer has no room for a delivery stream: others hold its USHER_STREAMS."
                    );
                }
                tracing::debug!(code = ?status.code(), "A delivery stream cannot be opened.");
                self.failed(mailer);
                return Some(StreamEvent::Unreachable);
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let responses = responses.map(move |response| (id, Some(response)));
        // The end as an item of its own: it is heard after all that was said.
        let end = futures::stream::once(async move { (id, None) });
        self.said.push(responses.chain(end).boxed());
        // Without a window yet: nothing is sent before the mailer's Hello says how much it takes.
        self.open.insert(id, OpenStream::new(mailer, requests));
        None
    }

    fn hear(&mut self, id: StreamId, said: Said) -> Option<StreamEvent> {
        let Some(Ok(response)) = said else {
            // A failed stream says so and then ends; either way its end counts, once.
            return self.ended(id);
        };
        let stream = self.open.get_mut(&id)?;
        match response.message? {
            Message::Hello(hello) => {
                stream.window = usize::try_from(hello.window).unwrap_or(usize::MAX);
                // Not when it opens: one that breaks before it says anything counts as failed.
                self.failures[stream.mailer] = 0;
                tracing::info!(window = hello.window, "The mailer takes mails.");
                Some(StreamEvent::Ready)
            }
            Message::Draining(_) => {
                stream.is_draining = true;
                let mailer = stream.mailer;
                // Its successor at once, and no failure: this one only answers what it holds.
                self.reopen(mailer, SHORTEST_WAIT);
                None
            }
            said => Some(StreamEvent::Said(id, said)),
        }
    }

    fn ended(&mut self, id: StreamId) -> Option<StreamEvent> {
        let stream = self.open.remove(&id)?;
        if !stream.is_draining {
            tracing::warn!("The mailer's stream broke; it is opened again.");
            self.failed(stream.mailer);
        }
        Some(StreamEvent::Ended(id))
    }

    fn failed(&mut self, mailer: usize) {
        let failures = self.failures[mailer];
        self.failures[mailer] = failures.saturating_add(1);
        let wait = SHORTEST_WAIT * 2_u32.pow(failures.min(6));
        self.reopen(mailer, wait.min(LONGEST_WAIT));
    }

    fn reopen(&mut self, mailer: usize, wait: Duration) {
        let Some(client) = self.mailers.get(mailer).cloned() else {
            return;
        };
        // Replicas that lost the same mailer do not all come back in the same moment.
        let wait = jittered(wait, random::fraction());
        self.opening.push(Box::pin(async move {
            sleep(wait).await;
            (mailer, open(client).await)
        }));
    }
}

async fn open(client: Client) -> Result<BothWays, Status> {
    // Unbounded, yet never longer than the window: `room` is asked before each mail.
    let (requests, receiver) = mpsc::unbounded_channel();
    let mut client = MailerServiceClient::new(client);
    let opening = client.deliver(UnboundedReceiverStream::new(receiver));
    // A peer that takes the connection and never answers would be waited for ever.
    match timeout(OPENING, opening).await {
        Ok(opened) => Ok((requests, opened?.into_inner())),
        Err(_) => Err(Status::deadline_exceeded("no answer")),
    }
}

impl OpenStream {
    /// A stream on which the mailer has not said anything yet.
    fn new(mailer: usize, requests: mpsc::UnboundedSender<DeliverRequest>) -> Self {
        Self {
            mailer,
            requests,
            window: 0,
            unanswered: 0,
            unanswered_later: 0,
            paused_until: None,
            is_draining: false,
        }
    }

    /// How many unanswered mails it may hold; 0 while it takes none.
    fn window(&self, now: Instant) -> usize {
        let takes_mails = !self.is_draining && self.paused_until.is_none_or(|until| until <= now);
        if takes_mails { self.window } else { 0 }
    }

    fn free(&self, now: Instant) -> usize {
        self.window(now).saturating_sub(self.unanswered)
    }

    /// How many more mails it takes.
    fn room(&self, now: Instant, turn: Turn) -> usize {
        let (window, free) = (self.window(now), self.free(now));
        match turn {
            // They leave the others a quarter: no storm of sign-ups stops what waits longest.
            Turn::First => {
                let unanswered_first = self.unanswered.saturating_sub(self.unanswered_later);
                free.min((window - window / 4).saturating_sub(unanswered_first))
            }
            // Half of the window at most: hanging mailboxes leave room for the others.
            Turn::Later => free.min(window.div_ceil(2).saturating_sub(self.unanswered_later)),
        }
    }
}
