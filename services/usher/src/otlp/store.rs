//! What the receiver remembers: a ring of spans, and in recording mode every request besides.

use std::{
    collections::{HashMap, VecDeque},
    fmt::{Debug, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::span::Span;

#[derive(Debug)]
pub(super) struct Store {
    /// How many spans to keep; `None` keeps everything, requests too.
    newest: Option<usize>,
    kept: Mutex<Kept>,
    arrived: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: VecDeque<Span>,
    requests: String,
}

impl Store {
    pub(super) fn newest(spans: usize) -> Self {
        Self {
            newest: Some(spans),
            kept: Mutex::default(),
            arrived: watch::Sender::default(),
        }
    }

    pub(super) fn everything() -> Self {
        Self {
            newest: None,
            kept: Mutex::default(),
            arrived: watch::Sender::default(),
        }
    }

    /// Keeps a request's text where everything is recorded.
    pub(super) fn record(&self, request: &impl Debug) {
        if self.newest.is_none() {
            // Writing to a String cannot fail.
            let _ = writeln!(self.kept().requests, "{request:?}");
            self.arrived.send_replace(());
        }
    }

    pub(super) fn add(&self, spans: impl IntoIterator<Item = Span>) {
        let mut kept = self.kept();
        kept.spans.extend(spans);
        let most = self.newest.unwrap_or(usize::MAX);
        let excess = kept.spans.len().saturating_sub(most);
        kept.spans.drain(..excess);
        // Whoever is woken reads at once.
        drop(kept);
        self.arrived.send_replace(());
    }

    pub(super) fn spans(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let kept = self.kept();
        let spans = kept.spans.iter().filter(|span| wanted(span));
        spans.cloned().collect()
    }

    pub(super) fn counts(&self) -> HashMap<String, usize> {
        let kept = self.kept();
        let mut counts = HashMap::new();
        for span in &kept.spans {
            match counts.get_mut(&span.trace_id) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(span.trace_id.clone(), 1);
                }
            }
        }
        counts
    }

    pub(super) fn to_text(&self) -> String {
        self.kept().requests.clone()
    }

    /// Changes whenever something arrives.
    pub(super) fn arrivals(&self) -> watch::Receiver<()> {
        self.arrived.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A reader that panicked left nothing half-done behind.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
