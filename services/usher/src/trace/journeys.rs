//! Watches the spans that `usher up` receives and tells which journeys have just come to rest, so
//! that each is drawn once it is complete.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use kit::telemetry::names;
use tokio::sync::watch;

use crate::otlp::{OtlpReceiver, Span};

/// A trace to which nothing was added for this long has come to rest: processes hand over their
/// spans every second.
const REST: Duration = Duration::from_millis(2_500);

/// What is known of each trace that the receiver keeps.
#[derive(Debug)]
pub(crate) struct Journeys<'a> {
    receiver: &'a OtlpReceiver,
    arrivals: watch::Receiver<()>,
    traces: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    spans: usize,
    since: Instant,
    told: bool,
}

impl<'a> Journeys<'a> {
    /// The journeys that `receiver` gets and has got.
    pub(crate) fn of(receiver: &'a OtlpReceiver) -> Self {
        let mut arrivals = receiver.arrivals();
        arrivals.mark_changed();
        Self {
            receiver,
            arrivals,
            traces: HashMap::new(),
        }
    }

    /// The traces that have come to rest since the last call and crossed a process border, each
    /// with its spans. A trace that grows again, because a mail was retried, say, is told again.
    pub(crate) fn finished(&mut self, now: Instant) -> Vec<Vec<Span>> {
        // Between arrivals nothing is read: an `usher up` that idles, idles.
        if self.arrivals.has_changed().unwrap_or_default() {
            // Before the count, so that what arrives meanwhile is counted the next time.
            self.arrivals.mark_unchanged();
            self.count(now);
        }
        let mut rested = HashSet::new();
        for (trace, known) in &mut self.traces {
            if !known.told && now.duration_since(known.since) >= REST {
                known.told = true;
                rested.insert(trace.as_str());
            }
        }
        if rested.is_empty() {
            return Vec::new();
        }
        let mut journeys: HashMap<String, Vec<Span>> = HashMap::new();
        let has_rested = |span: &Span| rested.contains(span.trace_id.as_str());
        for span in self.receiver.matching(has_rested) {
            let spans = journeys.entry(span.trace_id.clone()).or_default();
            spans.push(span);
        }
        let mut finished = Vec::from_iter(journeys.into_values());
        finished.retain(|spans| crosses_a_border(spans));
        finished.sort_by_key(|spans| spans.iter().map(|span| span.start).min());
        finished
    }

    fn count(&mut self, now: Instant) {
        let counts = self.receiver.counts();
        // What the receiver has dropped to make room is forgotten here, too.
        self.traces.retain(|trace, _| counts.contains_key(trace));
        for (trace, spans) in counts {
            let known = self.traces.entry(trace).or_insert(Known {
                spans: 0,
                since: now,
                told: false,
            });
            if known.spans < spans {
                // It grows again, because a mail was retried, say: then it is told again, whole.
                *known = Known {
                    spans,
                    since: now,
                    told: false,
                };
            }
        }
    }
}

fn crosses_a_border(spans: &[Span]) -> bool {
    // A call that one process made and answered alone is not worth a picture.
    let mut systems = spans
        .iter()
        .map(|span| span.attribute(names::MESSAGING_SYSTEM));
    systems.any(|system| system.is_some())
}
