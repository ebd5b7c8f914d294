//! What one kind of attack did to one listener, and how that answered.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How many kinds of answers are told.
const TOLD: usize = 4;

/// Counts while it goes on.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Deeds>);

/// What was done, and how it was answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Deeds {
    /// Connections that were made.
    pub connections: u64,
    /// Most of them at once.
    pub at_once: u64,
    /// Those that are open now.
    pub open: u64,
    /// Streams that were opened.
    pub streams: u64,
    /// Those of them that were reset at once.
    pub resets: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Answers and ends by what they were.
    pub answers: BTreeMap<String, Answers>,
}

/// Answers of one kind.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Answers {
    /// How many.
    pub count: u64,
    /// The earliest after its question, in seconds.
    pub earliest: f64,
    /// The latest.
    pub latest: f64,
}

impl Tally {
    pub(super) fn connected(&self) {
        let mut deeds = self.lock();
        deeds.connections += 1;
        deeds.open += 1;
        deeds.at_once = deeds.at_once.max(deeds.open);
    }

    pub(super) fn disconnected(&self) {
        self.lock().open -= 1;
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.lock().bytes += u64::try_from(bytes).unwrap_or_default();
    }

    pub(super) fn opened(&self) {
        self.lock().streams += 1;
    }

    pub(super) fn reset(&self) {
        self.lock().resets += 1;
    }

    pub(super) fn answered(&self, what: &str, after: Duration) {
        let mut deeds = self.lock();
        let answers = deeds.answers.entry(what.to_owned()).or_default();
        let after = after.as_secs_f64();
        answers.earliest = match answers.count {
            0 => after,
            _ => answers.earliest.min(after),
        };
        answers.latest = answers.latest.max(after);
        answers.count += 1;
    }

    pub(super) fn deeds(&self) -> Deeds {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Deeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Deeds {
    /// How it was answered, the most frequent first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut answers: Vec<_> = self.answers.iter().collect();
        answers.sort_by_key(|(_, answers)| std::cmp::Reverse(answers.count));
        let mut told: Vec<_> = answers
            .iter()
            .take(TOLD)
            .map(|(what, answers)| format!("{} {what} {answers}", answers.count))
            .collect();
        if answers.len() > TOLD {
            let rest = answers.iter().skip(TOLD);
            let rest: u64 = rest.map(|(_, answers)| answers.count).sum();
            told.push(format!("{rest} otherwise"));
        }
        if self.open > 0 {
            told.push(format!("{} connections open at the end", self.open));
        }
        f.write_str(&told.join("\n"))
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (earliest, latest) = (self.earliest, self.latest);
        match latest {
            ..0.1 => f.write_str("at once"),
            _ if latest - earliest < 0.5 => write!(f, "after {latest:.1} s"),
            _ => write!(f, "after {earliest:.1} to {latest:.1} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_answers_are_told_with_their_times() {
        let tally = Tally::default();
        tally.connected();
        for millis in [5, 12] {
            tally.answered("UNAUTHENTICATED", Duration::from_millis(millis));
        }
        tally.answered("closed", Duration::from_secs(10));
        let told = tally.deeds().to_string();
        let due = "2 UNAUTHENTICATED at once\n1 closed after 10.0 s\n1 connections open at the end";
        assert_eq!(told, due);
    }
}
