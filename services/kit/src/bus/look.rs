//! Looks whether the broker could do its part: JetStream is there, and our subjects lead into our
//! streams. A look every few seconds, so that it shows before the next event comes.

use std::{error::Error as _, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
};
use proto::streams::{ALL, Stream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{connection::Bus, sight::Sight};

const EVERY: Duration = Duration::from_secs(5);

/// Looks now and every few seconds, until `stop`.
pub(super) async fn run(bus: &Bus, stop: &CancellationToken) {
    loop {
        if bus.is_connected() {
            let Some(sight) = stop.run_until_cancelled(look(bus)).await else {
                return;
            };
            bus.state.sees(sight);
        }
        if timeout(EVERY, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// The first thing that is in the way; nothing where all is as it should be.
pub async fn look(bus: &Bus) -> Option<Sight> {
    for stream in &ALL {
        if let Err(error) = bus.jetstream().get_stream(stream.name).await {
            return Some(why(bus, stream, &error).await);
        }
    }
    None
}

async fn why(bus: &Bus, stream: &Stream, error: &GetStreamError) -> Sight {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => match error.error_code() {
            ErrorCode::STREAM_NOT_FOUND => of_missing(bus, stream).await,
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Sight::NoJetStream
            }
            _ => Sight::Silent(error.to_string()),
        },
        _ => {
            let request = error
                .source()
                .and_then(|it| it.downcast_ref::<RequestError>());
            match request.map(RequestError::kind) {
                Some(RequestErrorKind::NoResponders) => Sight::NoJetStream,
                Some(RequestErrorKind::TimedOut) => Sight::Silent("no answer in time".to_owned()),
                Some(kind) => Sight::Silent(kind.to_string()),
                None => Sight::Silent(error.to_string()),
            }
        }
    }
}

/// Why a stream is missing, as far as other streams tell.
pub(super) async fn of_missing(bus: &Bus, stream: &Stream) -> Sight {
    for subject in stream.subjects {
        if let Ok(by) = bus.jetstream().stream_by_subject(*subject).await {
            let stream = stream.name;
            return Sight::Taken { stream, by };
        }
    }
    Sight::Missing(stream.name)
}
