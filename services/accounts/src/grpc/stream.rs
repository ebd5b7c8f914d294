//! `CreateAccounts`, one caller's batch: as many items are read as may be under way, each is signed
//! up by itself, and results go back in the order in which they are known.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream, stream::BoxStream};
use kit::{
    serve::{self, Stages},
    telemetry::grpc::{Item, Items},
};
use opentelemetry::{Context, trace::FutureExt as _};
use proto::accounts::{
    CreateAccountResponse, CreateAccountsRequest, CreateAccountsResponse,
    create_accounts_response::Result as Answer,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Request, Status, Streaming};

use super::{
    decode, encode,
    status::{Cut, cut, status},
};
use crate::commands::create_account::{CreateAccount, CreateAccountError, SignUps, Turn};

/// Items of a stream that are under way or whose results wait for the caller. A stream alone keeps
/// the commit busy with it, as one half gathers while the other is written; and 512 callers that
/// take no results make some 60 MiB wait.
const WINDOW: usize = 128;

/// How long a caller may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// With results that it does not take.
    pub(crate) untaken: Duration,
    /// With items, when nothing else is to be done.
    pub(crate) silent: Duration,
}

/// A result's place among those that wait for the caller.
type Slot = mpsc::OwnedPermit<CreateAccountsResponse>;

/// A batch's results as its caller gets them.
type Results = BoxStream<'static, Result<CreateAccountsResponse, Status>>;

/// The way to sign many people up.
#[derive(Debug)]
pub(crate) struct Batches {
    pub(crate) sign_ups: SignUps,
    pub(crate) patience: Patience,
    /// Waits for those that are under way.
    pub(crate) stages: Stages,
}

impl Batches {
    /// Starts to sign up whoever comes on the stream.
    pub(super) fn open(&self, request: Request<Streaming<CreateAccountsRequest>>) -> Results {
        let (batch, results) = Batch::new(self, &request);
        self.stages.tasks.spawn(batch.run(request.into_inner()));
        results
    }
}

/// One caller's stream.
struct Batch {
    sign_ups: SignUps,
    items: Items,
    patience: Patience,
    deadline: Option<Instant>,
    ending: CancellationToken,
    results: mpsc::Sender<CreateAccountsResponse>,
    last: oneshot::Sender<Result<(), Status>>,
}

impl Batch {
    fn new<T>(batches: &Batches, request: &Request<T>) -> (Self, Results) {
        let (results, waiting) = mpsc::channel(WINDOW);
        let (last, end) = oneshot::channel();
        let batch = Self {
            sign_ups: batches.sign_ups.clone(),
            items: Items::of(request),
            patience: batches.patience,
            deadline: serve::stream_deadline(request),
            ending: serve::ending(request),
            results,
            last,
        };
        let end = stream::once(end).filter_map(|end| {
            // A batch that is gone without a word has panicked: that is no OK.
            let end = end.unwrap_or_else(|_| Err(serve::internal(&"a batch of sign-ups panicked")));
            std::future::ready(end.err().map(Err))
        });
        let results = ReceiverStream::new(waiting).map(Ok).chain(end);
        (batch, results.boxed())
    }

    /// Signs everybody up, until the caller has no more, keeps us waiting, or has to go.
    async fn run(self, mut requests: Streaming<CreateAccountsRequest>) {
        let under_way = TaskTracker::new();
        let mut end = self.read(&mut requests, &under_way).await;
        under_way.close();
        // Whatever ended the reading, what was read is answered, and until then the requests are
        // kept: dropping them could reset the stream.
        under_way.wait().await;
        if !matches!(end, Err(Cut::Untaken(_))) && !self.are_taken().await {
            end = Err(Cut::Untaken(self.patience.untaken));
        }
        if let Err(Cut::Untaken(_)) = end {
            // Neither a status nor the end of the stream reaches who takes nothing. The connection
            // is sent away: what else goes on there has its grace, and then all of it is gone.
            self.ending.cancel();
        }
        let _ = self.last.send(end.map_err(cut));
    }

    async fn read(
        &self,
        requests: &mut Streaming<CreateAccountsRequest>,
        under_way: &TaskTracker,
    ) -> Result<(), Cut> {
        loop {
            let next = tokio::select! {
                // In this order: a caller that always has one more must not outlast the service.
                biased;
                () = self.ending.cancelled() => return Err(Cut::SentAway),
                () = self.results.closed() => return Ok(()), // nobody listens any more
                () = serve::until(self.deadline) => return Err(Cut::TooLate),
                next = self.next(requests, under_way) => next?,
            };
            let Some((slot, request)) = next else {
                return Ok(());
            };
            // Outside of what may end the reading: the item is read, and will be answered. Where
            // others ask for more than can be committed it waits here, and so does its stream.
            let turn = self.sign_ups.turn().await;
            let item = self.items.begin();
            let deadline = serve::item_deadline(self.deadline);
            let sign_ups = self.sign_ups.clone();
            under_way.spawn(async move {
                slot.send(answered(&sign_ups, item, turn, request, deadline).await);
            });
        }
    }

    /// The next item and its result's place; nothing when the caller has said all that it has to
    /// say. Cancelled, it loses nothing.
    async fn next(
        &self,
        requests: &mut Streaming<CreateAccountsRequest>,
        under_way: &TaskTracker,
    ) -> Result<Option<(Slot, CreateAccountsRequest)>, Cut> {
        let Patience { untaken, silent } = self.patience;
        // The place first: what is read is answered. Who takes no results is read no further, and
        // HTTP/2's own window stops it.
        let slot = loop {
            match timeout(untaken, self.results.clone().reserve_owned()).await {
                Ok(Ok(slot)) => break slot,
                Ok(Err(_)) => return Ok(None),
                // Not the caller's fault: there is something yet to be answered.
                Err(_) if !under_way.is_empty() => {}
                Err(_) => return Err(Cut::Untaken(untaken)),
            }
        };
        loop {
            match timeout(silent, requests.message()).await {
                Ok(Ok(request)) => return Ok(request.map(|request| (slot, request))),
                Ok(Err(status)) => return Err(Cut::Unreadable(status)),
                // It may be waiting for a result before it goes on.
                Err(_) if !under_way.is_empty() => {}
                Err(_) => return Err(Cut::Silent(silent)),
            }
        }
    }

    /// Waits until the caller has taken all results, as long as it takes any.
    async fn are_taken(&self) -> bool {
        loop {
            let before = self.results.capacity();
            let all = self.results.reserve_many(self.results.max_capacity());
            match timeout(self.patience.untaken, all).await {
                // All of them, or nobody is there any more.
                Ok(_) => return true,
                Err(_) if self.results.capacity() > before => {}
                Err(_) => return false,
            }
        }
    }
}

/// One item's result. `turn` is its right to wait for its commit.
async fn answered(
    sign_ups: &SignUps,
    item: Item,
    turn: Turn,
    request: CreateAccountsRequest,
    deadline: Instant,
) -> CreateAccountsResponse {
    let caller = item.context().clone();
    let (item_id, command) = decode::item(request);
    let creating = created(sign_ups, turn, command, caller.clone(), deadline);
    // A panic costs this item its answer in words, and no other anything.
    let created = AssertUnwindSafe(creating.with_context(caller))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(serve::internal(&"a sign-up panicked")));
    item.end(created.as_ref().err().map_or(Code::Ok, Status::code));
    let result = match created {
        Ok(created) => Answer::Created(created),
        Err(refused) => Answer::Refused(serve::to_message(&refused)),
    };
    CreateAccountsResponse {
        item_id,
        result: Some(result),
    }
}

async fn created(
    sign_ups: &SignUps,
    turn: Turn,
    command: Result<CreateAccount, CreateAccountError>,
    caller: Context,
    deadline: Instant,
) -> Result<CreateAccountResponse, Status> {
    let created = sign_ups.create_in_turn(turn, command.map_err(status)?, caller.clone(), deadline);
    let created = created.await.map_err(status)?;
    Ok(encode::created(created, &caller))
}
