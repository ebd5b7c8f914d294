//! Until when a caller waits for its answer: what it says, and never longer than the listener lets
//! it.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Response};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Request, Status};
use tower::Service;

/// The longest that a call may take.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(10);

/// When the caller of this request, which has just arrived, stops waiting.
pub fn deadline<T>(request: &Request<T>) -> Instant {
    said_in(request.metadata().as_ref())
}

/// When the caller of this stream, which has just been opened, stops waiting; `None` if it does not
/// say.
pub fn stream_deadline<T>(request: &Request<T>) -> Option<Instant> {
    patience(request.metadata().as_ref()).map(|said| Instant::now() + said)
}

/// Until when one item of a stream, which was read just now, has to have its answer: it has as long
/// as a call of its own, and the stream's end is no later for being far away.
pub fn item_deadline(stream: Option<Instant>) -> Instant {
    let longest = Instant::now() + LONGEST_CALL;
    stream.map_or(longest, |stream| stream.min(longest))
}

/// Waits until then; for ever where there is no end.
pub async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Answers CANCELLED at the deadline, whatever becomes of the work; also for callers that name no
/// deadline of their own. A stream has begun in time when it has answered.
#[derive(Debug, Clone)]
pub(super) struct Timely<S>(pub(super) S);

impl<S, A, B> Service<http::Request<A>> for Timely<S>
where
    S: Service<http::Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let deadline = said_in(request.headers());
        let answering = timeout_at(deadline, self.0.call(request));
        let late = || Ok(Status::cancelled("Timeout expired").into_http());
        async move { answering.await.unwrap_or_else(|_| late()) }.boxed()
    }
}

fn said_in(headers: &HeaderMap) -> Instant {
    let said = patience(headers);
    Instant::now() + said.map_or(LONGEST_CALL, |said| said.min(LONGEST_CALL))
}

/// How long the caller waits, if it says so.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    timeout(headers.get("grpc-timeout")?.to_str().ok()?)
}

/// At most eight digits and a unit:
/// <https://grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html>.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // A text that breaks the rules is as none: the listener's own limit holds in any case.
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 60 * 60),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
