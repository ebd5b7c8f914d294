//! One thing that `doctor` looked at: how it is, and what to do about it.

use serde::Serialize;

use crate::terminal::{BAD, DIM, GOOD, WARN};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Ok,
    Warning,
    Problem,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    part: &'static str,
    pub(super) level: Severity,
    what: String,
    /// What to do about it; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Finding {
    pub(super) fn ok(part: &'static str, what: impl Into<String>) -> Self {
        Self::new(part, Severity::Ok, what, "")
    }

    pub(super) fn warning(
        part: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(part, Severity::Warning, what, advice)
    }

    pub(super) fn problem(
        part: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(part, Severity::Problem, what, advice)
    }

    fn new(
        part: &'static str,
        level: Severity,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            part,
            level,
            what: what.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn spoken(&self) -> String {
        let (style, mark) = match self.level {
            Severity::Ok => (GOOD, "✓"),
            Severity::Warning => (WARN, "!"),
            Severity::Problem => (BAD, "✗"),
        };
        let mut text = format!("{style}{mark}{style:#} {:<12} {}\n", self.part, self.what);
        if !self.advice.is_empty() {
            text.push_str(&format!("{:15}{DIM}→ {}{DIM:#}\n", "", self.advice));
        }
        text
    }
}
