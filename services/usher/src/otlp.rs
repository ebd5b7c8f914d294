//! A small OTLP receiver in the process: `usher` keeps the traces of a local run in it, tests look
//! through it.
//!
//! It is no collector: spans stay in memory, the oldest make room for new ones, and nothing is
//! passed on.

mod service;
mod span;
mod store;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub(crate) use span::spans_of;
pub use span::{Link, Span, SpanStatus};
use store::Store;

/// Spans that [`OtlpReceiver::bind`] keeps; some 30 MB.
const SPANS: usize = 50_000;

/// Listens for OTLP/gRPC until it is dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    store: Arc<Store>,
    server: JoinHandle<()>,
}

impl OtlpReceiver {
    /// Listens on `address` and keeps the newest 50,000 spans; metrics and logs are taken and
    /// forgotten.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        Self::with(address, Store::newest(SPANS)).await
    }

    /// Listens on a free port and keeps all that comes, metrics and logs too: memory grows without
    /// bound, so this is for runs that end.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn record() -> anyhow::Result<Self> {
        Self::with(SocketAddr::from(([127, 0, 0, 1], 0)), Store::everything()).await
    }

    async fn with(address: SocketAddr, store: Store) -> anyhow::Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.with_context(|| format!("Spans cannot be received on {address}."))?;
        let address = listener.local_addr();
        let address = address.context("The listener for spans has no address.")?;
        let store = Arc::new(store);
        let server = tokio::spawn(service::serve(listener, store.clone()));
        Ok(Self {
            address,
            store,
            server,
        })
    }

    /// What goes into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans that are kept, in the order of their arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.store.spans(|_| true)
    }

    /// How many spans are kept of each trace; `trace_id` is hexadecimal.
    pub fn counts(&self) -> HashMap<String, usize> {
        self.store.counts()
    }

    /// The kept spans that are `wanted`, in the order of their arrival.
    pub fn matching(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        self.store.spans(wanted)
    }

    /// Changes whenever something arrives: before that, nothing new can be read.
    pub fn arrivals(&self) -> watch::Receiver<()> {
        self.store.arrivals()
    }

    /// The spans of one trace, by start; `trace_id` is hexadecimal.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.store.spans(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// Waits until the spans of the trace are `complete`, looking at them whenever some arrive.
    ///
    /// # Errors
    /// With the spans that were there when the deadline passed.
    pub async fn wait_for_trace(
        &self,
        trace_id: &str,
        complete: impl Fn(&[Span]) -> bool,
        deadline: Duration,
    ) -> Result<Vec<Span>, Vec<Span>> {
        // Before the first look: what arrives after it is then seen as a change.
        let mut arrivals = self.store.arrivals();
        let waiting = async {
            loop {
                let spans = self.trace(trace_id);
                if complete(&spans) {
                    return spans;
                }
                // An error means that nothing arrives any more: only the deadline is left to wait
                // for.
                if arrivals.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let waited = tokio::time::timeout(deadline, waiting).await;
        waited.map_err(|_| self.trace(trace_id))
    }

    /// Everything that [`OtlpReceiver::record`] took, spans, metrics and logs, as text to search
    /// through.
    pub fn to_text(&self) -> String {
        self.store.to_text()
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}
