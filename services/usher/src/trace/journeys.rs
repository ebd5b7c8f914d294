//! Watches the spans that `usher up` receives and tells which journeys have just come to rest, so that each is
//! drawn once it is complete.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use kit::otlp::{OtlpReceiver, Span};

/// A trace to which nothing was added for this long has come to rest: processes hand over their spans every
/// second.
const REST: Duration = Duration::from_millis(2_500);
/// Traces that are remembered; the receiver forgets their spans much earlier.
const REMEMBERED: usize = 20_000;

/// What is known of each trace.
#[derive(Debug, Default)]
pub(crate) struct Journeys {
    traces: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    spans: usize,
    since: Instant,
    told: bool,
}

impl Journeys {
    /// The traces that have come to rest since the last call and crossed a process border, each with its spans. A
    /// trace that grows again, because a mail was retried, say, is told again.
    pub(crate) fn finished(&mut self, receiver: &OtlpReceiver, now: Instant) -> Vec<Vec<Span>> {
        let mut traces: HashMap<String, Vec<Span>> = HashMap::new();
        for span in receiver.spans() {
            traces.entry(span.trace_id.clone()).or_default().push(span);
        }
        self.traces.retain(|trace, _| traces.contains_key(trace));
        let mut finished = Vec::new();
        for (trace, spans) in traces.into_iter().take(REMEMBERED) {
            let known = self.traces.entry(trace).or_insert(Known { spans: 0, since: now, told: false });
            if known.spans < spans.len() {
                *known = Known { spans: spans.len(), since: now, told: false };
            } else if !known.told && now.duration_since(known.since) >= REST {
                known.told = true;
                finished.extend(crosses_a_border(&spans).then_some(spans));
            }
        }
        finished.sort_by_key(|spans| spans.iter().map(|span| span.start).min());
        finished
    }
}

/// A call that one process made and answered alone is not worth a picture.
fn crosses_a_border(spans: &[Span]) -> bool {
    let messaging = |span: &Span| span.attribute(kit::telemetry::names::MESSAGING_SYSTEM).is_some();
    spans.iter().any(messaging)
}
