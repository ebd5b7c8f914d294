//! One thing that `doctor` looked at: how it is, since when, what that means for people who sign
//! up, and what to do about it.

use std::collections::BTreeSet;

use kit::serve::Told;
use serde::Serialize;

use crate::terminal::{BAD, DIM, GOOD, WARN};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Ok,
    /// To be known, and neither good nor bad.
    Note,
    Warning,
    Problem,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) part: &'static str,
    pub(super) level: Severity,
    what: String,
    /// RFC 3339; empty where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    since: String,
    /// For people who sign up; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    means: String,
    /// What to do about it; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
    /// What is at fault: several parts may feel one fault, which is counted once.
    #[serde(skip)]
    pub(super) fault: String,
}

impl Finding {
    pub(super) fn ok(part: &'static str, what: impl Into<String>) -> Self {
        Self::new(part, Severity::Ok, what, "")
    }

    pub(super) fn note(part: &'static str, what: impl Into<String>) -> Self {
        Self::new(part, Severity::Note, what, "")
    }

    pub(super) fn warning(
        part: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(part, Severity::Warning, what, advice)
    }

    /// What is at fault is the part itself, unless `caused_by` says otherwise.
    pub(super) fn problem(
        part: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(part, Severity::Problem, what, advice)
    }

    /// A problem in a service's own words.
    pub(super) fn told(part: &'static str, told: &Told) -> Self {
        Self::problem(part, told.reason.clone(), told.advice.clone())
            .since(&told.since)
            .means(&told.means)
    }

    pub(super) fn since(mut self, since: &str) -> Self {
        since.clone_into(&mut self.since);
        self
    }

    pub(super) fn means(mut self, means: &str) -> Self {
        means.clone_into(&mut self.means);
        self
    }

    pub(super) fn caused_by(mut self, fault: &str) -> Self {
        fault.clone_into(&mut self.fault);
        self
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
            since: String::new(),
            means: String::new(),
            advice: advice.into(),
            fault: part.to_owned(),
        }
    }

    /// What was said of an earlier finding, and stands in `said`, is not said again.
    fn spoken(&self, said: &mut BTreeSet<String>) -> String {
        let (style, mark) = match self.level {
            Severity::Ok => (GOOD, "✓"),
            Severity::Note => (DIM, "·"),
            Severity::Warning => (WARN, "!"),
            Severity::Problem => (BAD, "✗"),
        };
        let mut text = format!("{style}{mark}{style:#} {:<12} {}", self.part, self.what);
        if let Some(time) = self.since.get(..19) {
            let time = time.replace('T', " ");
            text.push_str(&format!(" {DIM}(since {time} UTC){DIM:#}"));
        }
        text.push('\n');
        if !self.means.is_empty() && said.insert(self.means.clone()) {
            text.push_str(&format!("{:15}{}\n", "", self.means));
        }
        if !self.advice.is_empty() && said.insert(self.advice.clone()) {
            text.push_str(&format!("{:15}{DIM}→ {}{DIM:#}\n", "", self.advice));
        }
        text
    }
}

/// All of them, for people.
pub(super) fn spoken(findings: &[Finding]) -> String {
    let mut said = BTreeSet::new();
    let lines = findings.iter().map(|finding| finding.spoken(&mut said));
    lines.collect()
}

/// How many faults need a hand.
pub(super) fn faults(findings: &[Finding]) -> usize {
    let problems = findings
        .iter()
        .filter(|finding| finding.level == Severity::Problem);
    let faults: BTreeSet<&str> = problems.map(|finding| &*finding.fault).collect();
    faults.len()
}
