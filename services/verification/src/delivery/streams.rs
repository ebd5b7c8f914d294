//! The open `Deliver` streams, one to each mailer: how much each may still take, and what they say.
//! A stream that breaks is opened again by itself; `mail_loop` hears of its end and offers what it
//! left unanswered to another one. Mailers that are found by a name come and go.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, SelectAll},
};
use kit::{
    fail_point, random,
    serve::{Client, Replica, ReplicaEvent, Replicas},
};
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

use super::open_stream::OpenStream;
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
    replicas: Replicas,
    mailers: HashMap<Replica, Mailer>,
    open: HashMap<StreamId, OpenStream>,
    opening: FuturesUnordered<BoxFuture<'static, (Replica, Result<BothWays, Status>)>>,
    said: SelectAll<BoxStream<'static, (StreamId, Said)>>,
    next_id: StreamId,
    /// Mails that were ever sent.
    sent: u64,
}

/// A mailer that mails can be sent to.
struct Mailer {
    client: Client,
    /// In a row.
    failures: u32,
}

/// Both directions of a new stream.
type BothWays = (
    mpsc::UnboundedSender<DeliverRequest>,
    Streaming<DeliverResponse>,
);

/// What a stream says; nothing when it is over.
type Said = Option<Result<DeliverResponse, Status>>;

impl Streams {
    /// Opens a stream to each of these.
    pub(super) fn new(replicas: Replicas) -> Self {
        Self {
            replicas,
            mailers: HashMap::new(),
            open: HashMap::new(),
            opening: FuturesUnordered::new(),
            said: SelectAll::new(),
            next_id: 0,
            sent: 0,
        }
    }

    /// The next thing that happens; cancel-safe.
    pub(super) async fn next(&mut self) -> StreamEvent {
        loop {
            // An arm whose set is empty is out of this round; what fills it is done between two
            // calls.
            let event = tokio::select! {
                event = self.replicas.next() => {
                    self.mailer(event);
                    None
                }
                Some((mailer, opened)) = self.opening.next() => self.opened(mailer, opened),
                Some((id, said)) = self.said.next() => self.hear(id, said),
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
        fail_point!("verification/taken");
        let now = Instant::now();
        // The roomiest, so that a mailer that answers slowly gets less; of those that are about as
        // roomy the one whose newest mail is the oldest, so that mails go round.
        let roomiest = self
            .open
            .iter_mut()
            .max_by_key(|(_, stream)| (stream.roominess(now, turn), Reverse(stream.last)));
        let (id, stream) = roomiest.filter(|(_, stream)| stream.room(now, turn) > 0)?;
        self.sent += 1;
        if !stream.send(self.sent, turn, request) {
            return None;
        }
        Some(*id)
    }

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
        tracing::warn!(
            seconds = wait.as_secs(),
            "The mailer pauses: the mail server cannot be used."
        );
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
        self.replicas = Replicas::default();
        self.opening.clear();
        self.mailers.clear();
    }

    /// A mailer comes or leaves.
    fn mailer(&mut self, event: ReplicaEvent) {
        match event {
            ReplicaEvent::Came(mailer, client) => {
                let failures = 0;
                self.mailers.insert(mailer, Mailer { client, failures });
                self.reopen(mailer, Duration::ZERO);
            }
            ReplicaEvent::Left(mailer) => {
                self.mailers.remove(&mailer);
                let its = self.open.values_mut().filter(|one| one.mailer == mailer);
                // It hears that no more comes, answers what it has and ends the stream. One that is
                // gone without a word does not even acknowledge that, which breaks the connection.
                its.for_each(OpenStream::leave);
            }
        }
    }

    fn opened(&mut self, mailer: Replica, opened: Result<BothWays, Status>) -> Option<StreamEvent> {
        let known = self.mailers.get(&mailer)?;
        let (requests, responses) = match opened {
            Ok(opened) => opened,
            Err(status) => {
                // Said where it begins: it is tried again every two seconds. A mailer that is away
                // is told of by readiness.
                if status.code() == Code::ResourceExhausted && known.failures == 0 {
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
                if let Some(mailer) = self.mailers.get_mut(&stream.mailer) {
                    mailer.failures = 0;
                }
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

    fn failed(&mut self, mailer: Replica) {
        // Perhaps it is gone for good, and another one has come for it.
        self.replicas.ask();
        let Some(known) = self.mailers.get_mut(&mailer) else {
            return;
        };
        let wait = SHORTEST_WAIT * 2_u32.pow(known.failures.min(6));
        known.failures = known.failures.saturating_add(1);
        self.reopen(mailer, wait.min(LONGEST_WAIT));
    }

    fn reopen(&mut self, mailer: Replica, wait: Duration) {
        let Some(client) = self.mailers.get(&mailer).map(|known| known.client.clone()) else {
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
