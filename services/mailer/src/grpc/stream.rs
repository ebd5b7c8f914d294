//! One client's delivery stream: Hello, a Result for each mail, Pause when the circuit opens,
//! TakenBack for mails that were not rejected after all, Draining at the end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt as _;
use kit::{
    propagation::from_traceparent,
    serve,
    telemetry::{names, span},
};
use opentelemetry::{Context, KeyValue, trace::FutureExt as _};
use proto::mailer::{
    DeliverRequest, DeliverResponse, Draining, Hello, Mail, Outcome, Pause, Result as MailResult,
    TakenBack, deliver_response::Message,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::{Public, decode, encode};
use crate::commands::{Answer, deliver::DeliverError, refuse::refuse};

type Responses = mpsc::Sender<Result<DeliverResponse, Status>>;

/// Messages that are no results: Hello, Draining, and a Pause or TakenBack or two.
const BESIDES_RESULTS: usize = 8;

/// Starts to talk to a client.
pub(super) fn open(
    public: &Public,
    requests: Streaming<DeliverRequest>,
    ending: CancellationToken,
) -> ReceiverStream<Result<DeliverResponse, Status>> {
    // As wide as the window, so that an answer never waits for a slow reader with a connection in
    // its hands.
    let (responses, receiver) = mpsc::channel(public.window as usize + BESIDES_RESULTS);
    public
        .stages
        .tasks
        .spawn(talk(Arc::new(public.clone()), requests, responses, ending));
    ReceiverStream::new(receiver)
}

async fn talk(
    public: Arc<Public>,
    mut requests: Streaming<DeliverRequest>,
    responses: Responses,
    ending: CancellationToken,
) {
    let stages = &public.stages;
    let window = Arc::new(Semaphore::new(public.window as usize));
    let mut openings = public.deliver.admission.openings();
    let mut taken_back = public.deliver.refusals.taken_back();
    say(
        &responses,
        Message::Hello(Hello {
            window: public.window,
        }),
    )
    .await;
    // The circuit may have opened before this client came.
    say_pause(&responses, &mut openings).await;
    say_taken_back(&responses, &mut taken_back).await;
    let mut refused = None;
    // Which of these is first does not matter: whatever ends the loop, what was taken is answered
    // below.
    loop {
        tokio::select! {
            // Cancelled by the others between its waits, it loses nothing: the room goes back,
            // and the message is still in the stream.
            next = next(&mut requests, &window, &public.queue) => match next {
                Ok(Some((mail, permits))) => {
                    let offered = deliver(Arc::clone(&public), mail, responses.clone(), permits);
                    stages.tasks.spawn(offered);
                }
                // The client has said all it has to say.
                Ok(None) => break,
                // What it says is no request or too long, or it is gone.
                Err(status) => break refused = Some(serve::explained_size(&status).unwrap_or(status)),
            },
            Ok(()) = openings.changed() => say_pause(&responses, &mut openings).await,
            Ok(()) = taken_back.changed() => say_taken_back(&responses, &mut taken_back).await,
            // The service stops, or the connection has grown old: the client's next stream goes by
            // another one, perhaps to another mailer.
            () = ending.cancelled() => break say(&responses, Message::Draining(Draining {})).await,
            () = responses.closed() => break,
        }
    }
    // The whole window is free again when every mail has its answer. The requests are kept, unread,
    // until everything is answered: dropping them could reset the stream.
    let _answered = window.acquire_many(public.window).await;
    if let Some(status) = refused {
        let _ = responses.send(Err(status)).await;
    }
}

/// A mail's room in its stream's window, and in the queue of all streams.
type Permits = [OwnedSemaphorePermit; 2];

/// The next mail, when window and queue have room for it.
async fn next(
    requests: &mut Streaming<DeliverRequest>,
    window: &Arc<Semaphore>,
    queue: &Arc<Semaphore>,
) -> Result<Option<(Mail, Permits)>, Status> {
    // Room first: a message that was read must be answered. A client that sends more than it may is
    // not read, and HTTP/2's own window stops it.
    let room = async |of: &Arc<Semaphore>| {
        let permit = Arc::clone(of).acquire_owned().await;
        permit.expect("it is never closed")
    };
    let permits = [room(window).await, room(queue).await];
    let request = requests.message().await?;
    Ok(request.map(|request| (request.mail.unwrap_or_default(), permits)))
}

/// One mail, in a task of its own: stream or no stream, what has its connection runs to its end.
async fn deliver(public: Arc<Public>, mail: Mail, responses: Responses, permits: Permits) {
    let cx = span::server(
        names::DELIVER,
        &from_traceparent(&mail.traceparent, &mail.tracestate),
        attributes(&mail),
    );
    let answering = answer(&public, &mail, &responses).with_context(cx.clone());
    // A panic costs this mail its answer in words, and no other mail anything.
    let result = match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(Ok(answer)) => Some(encode::answer(mail.code_id, answer)),
        Ok(Err(error)) => encode::failure(mail.code_id, &error),
        Err(_) => {
            tracing::error!(
                "The delivery of a mail panicked; its lease will pass and count as unknown."
            );
            Some(encode::broken(mail.code_id))
        }
    };
    end_span(&cx, result.as_ref());
    let [window, queue] = permits;
    // The queue is everybody's: a client that takes no answers holds its own window only.
    drop(queue);
    if let Some(result) = result {
        say(&responses, Message::Result(result)).await;
    }
    // Last: the answer is on its way before the client may offer the next one.
    drop(window);
}

async fn answer(
    public: &Public,
    mail: &Mail,
    responses: &Responses,
) -> Result<Answer, DeliverError> {
    match decode::offer(mail) {
        Ok(offer) => {
            let caller_gone = responses.closed();
            public.deliver.run(Arc::new(offer), caller_gone).await
        }
        Err(unusable) => Ok(refuse(&public.db, &public.clock, unusable).await?),
    }
}

/// Says how long the circuit stays open, if it is.
async fn say_pause(responses: &Responses, openings: &mut watch::Receiver<Option<Instant>>) {
    let open_until = *openings.borrow_and_update();
    let left = open_until.and_then(|until| until.checked_duration_since(Instant::now()));
    if let Some(retry_after) = left.and_then(|left| left.try_into().ok()) {
        say(
            responses,
            Message::Pause(Pause {
                retry_after: Some(retry_after),
            }),
        )
        .await;
    }
}

/// Says which mails were not rejected after all, if there are any.
async fn say_taken_back(responses: &Responses, taken_back: &mut watch::Receiver<Arc<[Uuid]>>) {
    let mails = Arc::clone(&taken_back.borrow_and_update());
    if !mails.is_empty() {
        let code_ids = mails.iter().map(Uuid::to_string).collect();
        say(responses, Message::TakenBack(TakenBack { code_ids })).await;
    }
}

/// A client that is gone hears nothing more; that is no error.
async fn say(responses: &Responses, message: Message) {
    let _ = responses
        .send(Ok(DeliverResponse {
            message: Some(message),
        }))
        .await;
}

fn attributes(mail: &Mail) -> Vec<KeyValue> {
    // Only ids that are ids: the client's text is not to be trusted with a span.
    let ids = [
        (names::USHER_CODE_ID, &mail.code_id),
        (names::USHER_ACCOUNT_ID, &mail.account_id),
    ];
    let ids = ids
        .into_iter()
        .filter_map(|(name, id)| Some((name, serve::uuid(name, id).ok()?)));
    let attempt = KeyValue::new(names::USHER_ATTEMPT, i64::from(mail.attempt));
    ids.map(|(name, id)| KeyValue::new(name, id.to_string()))
        .chain([attempt])
        .collect()
}

fn end_span(cx: &Context, result: Option<&MailResult>) {
    let outcome = match result.map(MailResult::outcome) {
        Some(Outcome::Accepted) => "accepted",
        Some(Outcome::InFlight) => "in_flight",
        Some(Outcome::Rejected) => "rejected",
        Some(Outcome::Invalid) => "invalid",
        Some(Outcome::Unknown) => "unknown",
        Some(Outcome::Unavailable | Outcome::Unspecified) => "unavailable",
        None => "abandoned",
    };
    span::set(cx, KeyValue::new(names::USHER_MAIL_OUTCOME, outcome));
    match outcome {
        "accepted" | "in_flight" | "abandoned" => span::end(cx),
        _ => span::fail(cx, outcome),
    }
}
