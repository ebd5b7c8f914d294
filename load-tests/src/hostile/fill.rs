//! Streams of well-formed HTTP/2 that are put on connections until these take no more.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{
    Error, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

use super::{
    front::{Front, Wire},
    listener::Ask,
    tally::Tally,
};

/// A connection that takes no further stream for so long is full.
const FULL: Duration = Duration::from_millis(500);

/// How a stream goes on after what was sent at once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// It takes what is answered.
    Reads,
    /// A byte each, and never the last.
    Drips(Duration),
}

/// Puts stream after stream on a connection, and opens the next one when it is full.
pub(super) async fn fill(
    front: &Front,
    builder: &Builder,
    part: f64,
    manner: Manner,
    ask: impl Fn(u64) -> Ask,
) {
    let mut ticks = front.ticks(part);
    let mut number = 0;
    loop {
        ticks.tick().await;
        let Some(wire) = front.connect().await else {
            continue;
        };
        let Some(mut streams) = handshake(builder, wire, &front.tally).await else {
            continue;
        };
        loop {
            ticks.tick().await;
            match timeout(FULL, streams.ready()).await {
                Ok(Ok(ready)) => streams = ready,
                Ok(Err(_)) | Err(_) => break, // it has ended, or it is full and stays open
            }
            number += 1;
            if put(&mut streams, ask(number), manner, &front.tally).is_err() {
                break;
            }
        }
    }
}

async fn handshake(
    builder: &Builder,
    wire: Wire,
    tally: &Arc<Tally>,
) -> Option<SendRequest<Bytes>> {
    let since = wire.since;
    let made = builder.handshake::<_, Bytes>(wire).await;
    let (streams, connection) = match made {
        Ok(both) => both,
        Err(error) => {
            tally.answered(&format!("connections {}", named(&error)), since.elapsed());
            return None;
        }
    };
    let (held, tally) = (streams.clone(), Arc::clone(tally));
    tokio::spawn(async move {
        let end = match connection.await {
            Ok(()) => "closed".to_owned(),
            Err(error) => named(&error),
        };
        tally.answered(&format!("connections {end}"), since.elapsed());
        // Only now: a client without handles closes its connection by itself.
        drop(held);
    });
    Some(streams)
}

fn put(
    streams: &mut SendRequest<Bytes>,
    ask: Ask,
    manner: Manner,
    tally: &Arc<Tally>,
) -> Result<(), Error> {
    let is_without_body = ask.is_whole && ask.body.is_empty();
    let (response, mut stream) = streams.send_request(ask.request, is_without_body)?;
    tally.opened();
    if !ask.body.is_empty() {
        stream.send_data(ask.body, ask.is_whole)?;
    }
    tokio::spawn(until_answered(response, stream, manner, Arc::clone(tally)));
    Ok(())
}

async fn until_answered(
    response: ResponseFuture,
    mut stream: SendStream<Bytes>,
    manner: Manner,
    tally: Arc<Tally>,
) {
    let since = Instant::now();
    let drips = async {
        let Manner::Drips(every) = manner else {
            return std::future::pending().await;
        };
        loop {
            sleep(every).await;
            if stream.send_data(Bytes::from_static(b"x"), false).is_err() {
                return std::future::pending().await; // the answer says why
            }
        }
    };
    let what: String = tokio::select! {
        what = answer(response) => what,
        () = drips => return,
    };
    tally.answered(&what, since.elapsed());
}

async fn answer(response: ResponseFuture) -> String {
    let response = match response.await {
        Ok(response) => response,
        Err(error) => return named(&error),
    };
    if let Some(status) = Status::from_header_map(response.headers()) {
        return spoken(&status);
    }
    let http = response.status().as_u16();
    let mut body = response.into_body();
    while let Some(chunk) = body.data().await {
        match chunk {
            Ok(bytes) => {
                let _ = body.flow_control().release_capacity(bytes.len());
            }
            Err(error) => return named(&error),
        }
    }
    match body.trailers().await {
        Ok(trailers) => {
            let status = trailers.as_ref().and_then(Status::from_header_map);
            status.map_or_else(|| format!("HTTP {http}"), |status| spoken(&status))
        }
        Err(error) => named(&error),
    }
}

fn spoken(status: &Status) -> String {
    format!("{:?}", status.code())
}

/// What ended a stream or a connection.
fn named(error: &Error) -> String {
    match error.reason() {
        Some(reason) if error.is_go_away() => format!("told GOAWAY {reason:?}"),
        Some(reason) => format!("reset {reason:?}"),
        None => "closed".to_owned(),
    }
}
