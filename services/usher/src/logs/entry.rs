//! What a line of a log says of itself: when, and how serious it is. Knows our two formats,
//! nats-server's and those that begin with a moment and a level.

use clap::ValueEnum;
use kit::clock::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What a line says of itself: when, and how serious it is.
pub(super) type Said = (Timestamp, LogLevel);

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    #[serde(serialize_with = "as_text")]
    pub(super) at: Timestamp,
    pub(super) level: LogLevel,
    pub(super) line: String,
}

impl Entry {
    pub(super) fn said(&self) -> Said {
        (self.at, self.level)
    }

    /// Reads a line that came after `before`: one that says nothing of itself, such as the second
    /// line of a panic, goes with it.
    pub(super) fn read(line: &str, before: Option<Said>) -> Self {
        let (at, level) = said(line).unwrap_or((None, None));
        let level = match line.contains("panicked at") {
            true => Some(LogLevel::Error),
            false => level,
        };
        Self {
            at: at.or(before.map(|it| it.0)).unwrap_or(Timestamp(0)),
            level: level.or(before.map(|it| it.1)).unwrap_or(LogLevel::Info),
            line: printable(line),
        }
    }
}

fn said(line: &str) -> Option<(Option<Timestamp>, Option<LogLevel>)> {
    if line.starts_with('{') {
        let Value::Object(fields) = serde_json::from_str(line).ok()? else {
            return None;
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let at = text("timestamp")
            .or(text("ts"))
            .and_then(Timestamp::from_rfc3339);
        return Some((at, text("level").and_then(severity)));
    }
    let mut words = line.split_whitespace();
    let mut first = words.next()?;
    // nats-server: `[1234] 2026/11/26 19:07:38.123456 [INF] …`, in UTC by its configuration.
    if first.starts_with('[') {
        let (day, time) = (words.next()?.replace('/', "-"), words.next()?);
        let at = Timestamp::from_rfc3339(&format!("{day}T{time}Z"))?;
        return Some((Some(at), words.next().and_then(severity)));
    }
    let at = Timestamp::from_rfc3339(first)?;
    first = words.next()?;
    Some((Some(at), severity(first)))
}

fn severity(word: &str) -> Option<LogLevel> {
    let word = word.trim_matches(['[', ']']).to_ascii_uppercase();
    Some(match &*word {
        "TRACE" | "TRC" => LogLevel::Trace,
        "DEBUG" | "DBG" => LogLevel::Debug,
        "INFO" | "INF" => LogLevel::Info,
        "WARN" | "WARNING" | "WRN" => LogLevel::Warn,
        "ERROR" | "ERR" | "FATAL" | "FTL" | "PANIC" => LogLevel::Error,
        _ => return None,
    })
}

/// Nothing in it may move a terminal's cursor: not every part writes as carefully as ours.
fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for sign in line.chars() {
        match sign.is_control() && sign != '\t' {
            true => text.extend(sign.escape_default()),
            false => text.push(sign),
        }
    }
    text
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use super::{Entry, LogLevel, Timestamp};

    const MOMENT: Timestamp = Timestamp(1_795_720_058_123_456);

    #[test]
    fn every_format_says_when_and_how_serious() {
        for (line, level) in [
            (
                "2026-11-26T19:07:38.123456Z  WARN mailer: Slow.",
                LogLevel::Warn,
            ),
            (
                r#"{"level":"ERROR","timestamp":"2026-11-26T19:07:38.123456Z","message":"No."}"#,
                LogLevel::Error,
            ),
            (
                "[12] 2026/11/26 19:07:38.123456 [INF] Server is ready",
                LogLevel::Info,
            ),
            (
                "2026-11-26T19:07:38.123456Z\tdebug\tservice",
                LogLevel::Debug,
            ),
        ] {
            let entry = Entry::read(line, None);
            assert_eq!((entry.at, entry.level), (MOMENT, level), "{line}");
        }
    }

    #[test]
    fn a_line_that_says_nothing_of_itself_goes_with_the_one_before() {
        let before = Entry::read("2026-11-26T19:07:38.123456Z  WARN mailer: Slow.", None);
        let after = Entry::read("   0: \u{1b}[2Jbacktrace", Some(before.said()));
        assert_eq!((after.at, after.level), (MOMENT, LogLevel::Warn));
        assert_eq!(after.line, "   0: \\u{1b}[2Jbacktrace");
        let panic = Entry::read(
            "thread 'main' panicked at src/main.rs:1:1:",
            Some(before.said()),
        );
        assert_eq!((panic.at, panic.level), (MOMENT, LogLevel::Error));
    }
}
