//! What a service does with messages: it answers a batch with a verdict on each, in their order.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use futures::{
    FutureExt as _,
    future::{BoxFuture, lazy},
};

use super::{delivery::Delivery, settle::Verdict};

type Handle = dyn Fn(Arc<Vec<Delivery>>) -> BoxFuture<'static, Vec<Verdict>> + Send + Sync;

/// A service's handler. The consumer calls it with what the broker delivers, an operator with dead
/// letters.
#[derive(Clone)]
pub struct Handler(Arc<Handle>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl Handler {
    /// A handler that does `handle` with each batch.
    pub fn new<F>(handle: impl Fn(Arc<Vec<Delivery>>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<Verdict>> + Send + 'static,
    {
        Self(Arc::new(move |batch| handle(batch).boxed()))
    }

    /// The verdicts on the batch; nothing where the handler panicked.
    pub(super) async fn handle(&self, batch: Arc<Vec<Delivery>>) -> Option<Vec<Verdict>> {
        let work = lazy(|_| (self.0)(batch)).flatten();
        AssertUnwindSafe(work).catch_unwind().await.ok()
    }
}
