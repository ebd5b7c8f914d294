//! How often a child has ended of late, and its last words: `supervise` notes it, `up` says it, and
//! `doctor` reads it from `logs/<part>.ended.json`.

use std::{
    path::Path,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kit::{
    clock::{Clock, Timestamp},
    files::PrivateFolder,
};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// Endings that lie further apart than this are told one by one.
const OF_LATE: Duration = Duration::from_secs(600);

/// Lines that may belong to an error: a process that goes on after it is not to fill memory.
const MOST_LINES: u8 = 8;

/// What is known of a child's endings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Endings {
    pub(crate) times: u32,
    /// Of the first and of the last one, in microseconds since 1970.
    first_at: i64,
    last_at: i64,
    /// Such as `exit status: 1`.
    how: String,
    /// What it said of why, in one line; empty where it said nothing.
    pub(crate) words: String,
}

impl Endings {
    fn file(part: &str) -> String {
        format!("{part}.ended.json")
    }

    /// Those of a child of the `usher up` on this data folder; nothing where it ended long ago, or
    /// never.
    pub(crate) fn of_late(data: &Path, part: &str) -> Option<Self> {
        let logs = PrivateFolder::open(&data.join("logs")).ok()?;
        let text = logs.read(&Self::file(part)).ok()??;
        let endings: Self = serde_json::from_slice(&text).ok()?;
        let passed = Clock::default().now().since(Timestamp(endings.last_at));
        (passed < OF_LATE).then_some(endings)
    }

    /// Those of an earlier run are nobody's any more.
    pub(super) fn forget(logs: &PrivateFolder, part: &str) {
        let _ = logs.remove(&Self::file(part));
    }

    /// Notes one more, for those in the terminal and for `doctor`.
    pub(super) fn note(&mut self, logs: &PrivateFolder, part: &str, how: String, words: String) {
        let now = Clock::default().now();
        if self.times == 0 || now.since(Timestamp(self.last_at)) > OF_LATE {
            (self.times, self.first_at) = (0, now.0);
        }
        self.times += 1;
        (self.last_at, self.how, self.words) = (now.0, how, words);
        // A full disk costs `doctor` what the terminal is told all the same.
        let _ = logs.replace(&Self::file(part), crate::output::json(self).as_bytes());
    }

    /// "ended 3 times since 2026-11-26 19:07:37 UTC (exit status: 1): …".
    pub(crate) fn told(&self) -> String {
        let Self {
            times, how, words, ..
        } = self;
        let first = Timestamp(self.first_at).to_string();
        let time = first.get(..19).unwrap_or_default().replace('T', " ");
        let mut told = match times {
            0 | 1 => format!("ended at {time} UTC ({how})"),
            _ => format!("ended {times} times since {time} UTC ({how})"),
        };
        if !words.is_empty() {
            told.push_str(": ");
            told.push_str(words);
        }
        told
    }
}

/// What a child that runs has said last. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    /// Why it ends, in its own word for that, and what it advises.
    error: String,
    /// How many more lines may belong to that.
    more: u8,
    last: String,
}

impl LastWords {
    /// Forgets what the child before said.
    pub(super) fn begin(&self) {
        *self.words() = Words::default();
    }

    /// Takes a line that the child wrote.
    pub(super) fn hear(&self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        let mut words = self.words();
        if let Some(error) = line.strip_prefix("error: ") {
            // It ends by this: what follows are refused fields, or what to do.
            (words.error, words.more) = (error.to_owned(), MOST_LINES);
        } else if line.contains("panicked at") || line.contains("[FTL]") {
            (words.error, words.more) = (line.to_owned(), 1);
        } else if words.more > 0 {
            words.more -= 1;
            words.error.push(' ');
            words.error.push_str(line.trim_start_matches("hint: "));
        }
        line.clone_into(&mut words.last);
    }

    /// In one line.
    pub(super) fn said(&self) -> String {
        let words = self.words();
        match words.error.is_empty() {
            true => words.last.clone(),
            false => words.error.clone(),
        }
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a child ended, and whether it refused its settings: that would only come again.
pub(super) fn read(ended: &std::io::Result<ExitStatus>) -> (String, bool) {
    match ended {
        Ok(status) => (
            status.to_string(),
            status.code() == Some(i32::from(Exit::Usage as u8)),
        ),
        Err(error) => (format!("it cannot be waited for: {error}"), false),
    }
}
