//! What a run showed: a table for people, JSON for programs, and how the command ends.

pub(crate) mod latency;

use std::{collections::BTreeMap, fmt, time::Duration};

use comfy_table::{Table, TableStyle};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use latency::{percentiles, quantiles, spread};

use crate::{
    check::{Finding, Verdict},
    faults::Kind,
    phases::Phase,
    place::Ground,
    sink::Mood,
};

/// Findings that are printed one by one.
const SHOWN: usize = 20;

/// One run.
#[derive(Debug)]
pub struct Report {
    /// Repeats it.
    pub seed: u64,
    /// What the system stood on; nothing where it ran before.
    pub ground: Option<Ground>,
    /// Requests a second.
    pub rate: f64,
    /// How long requests became due.
    pub seconds: f64,
    /// Requests in all.
    pub asked: usize,
    /// Acknowledged sign-ups without which the run shows nothing.
    pub at_least: usize,
    /// Faults that were to be.
    pub faults_planned: usize,
    /// Faults that met a part that ran.
    pub faults: BTreeMap<Kind, u64>,
    /// What parts did that nobody asked them to, and how often.
    pub surprises: BTreeMap<String, u64>,
    /// The longest time that a part took to end when a fault asked it to.
    pub slowest_stop: Duration,
    /// Requests that were sent more than once.
    pub repeated: usize,
    /// What happened in each phase, where standard input named some.
    pub phases: Vec<Phase>,
    /// Moods that mails met.
    pub moods: BTreeMap<Mood, u64>,
    /// From the time a request was due to its answer, in microseconds.
    pub answers: Histogram<u64>,
    /// From the time a request was due to its mail, in microseconds.
    pub mails: Histogram<u64>,
    /// The conservation check.
    pub verdict: Verdict,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was lost, invented or doubled without a reason.
    Pass,
    /// Something was.
    Broken,
    /// Too little happened for the run to show anything.
    TooFew,
}

impl Outcome {
    /// What the command exits with.
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Broken => 1,
            Self::TooFew => 3,
        }
    }
}

impl Report {
    /// How it ended. What is broken is broken, however few there were.
    pub fn outcome(&self) -> Outcome {
        if !self.verdict.is_conserved() {
            return Outcome::Broken;
        }
        match self.too_few() {
            Some(_) => Outcome::TooFew,
            None => Outcome::Pass,
        }
    }

    /// Why the run shows nothing.
    fn too_few(&self) -> Option<String> {
        let acknowledged = self.verdict.acknowledged;
        if acknowledged < self.at_least {
            let needed = self.at_least;
            return Some(format!(
                "{acknowledged} sign-ups were acknowledged, {needed} are needed"
            ));
        }
        let met: u64 = self.faults.values().sum();
        let planned = u64::try_from(self.faults_planned).unwrap_or(u64::MAX);
        (met * 2 < planned)
            .then(|| format!("{met} of {planned} planned faults met a part that ran"))
    }

    /// Requests that were not acknowledged, however often they were sent.
    fn failed(&self) -> usize {
        self.verdict.unknown + self.verdict.refused
    }

    /// The last line.
    fn conclusion(&self) -> String {
        let seed = self.seed;
        match (self.outcome(), self.too_few()) {
            (Outcome::Pass, _) => "PASS: nothing lost, nothing invented".to_owned(),
            (Outcome::Broken, _) => format!("FAIL: not everything is conserved; seed {seed}"),
            (Outcome::TooFew, why) => {
                format!("NO PASS: too few samples: {}", why.unwrap_or_default())
            }
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "outcome": format!("{:?}", self.outcome()),
            "seed": self.seed,
            "database": self.ground,
            "rate": self.rate,
            "seconds": self.seconds,
            "asked": self.asked,
            "faults_planned": self.faults_planned,
            "faults": self.faults,
            "surprises": self.surprises,
            "slowest_stop_ms": self.slowest_stop.as_millis(),
            "moods": self.moods,
            "repeated": self.repeated,
            "failed": self.failed(),
            "phases": self.phases,
            "answer_us": quantiles(&self.answers),
            "mail_us": quantiles(&self.mails),
            "settled_after_s": self.verdict.settled_after.as_secs_f64(),
            "verdict": self.verdict,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { verdict, .. } = self;
        let (rate, seconds, seed) = (self.rate, self.seconds, self.seed);
        writeln!(
            f,
            "{} sign-ups at {rate}/s for {seconds} s{}, seed {seed}\n",
            self.asked,
            self.ground
                .map(|ground| format!(" on {}", ground.name()))
                .unwrap_or_default()
        )?;
        let facts = [
            ("acknowledged", verdict.acknowledged.to_string()),
            ("unknown", verdict.unknown.to_string()),
            ("refused", verdict.refused.to_string()),
            ("repeated", self.repeated.to_string()),
            ("stored", verdict.stored.to_string()),
            ("mailed", verdict.mailed.to_string()),
            ("mailbox gone", verdict.rejected.to_string()),
            ("asked again", verdict.asked_again.to_string()),
            ("unsettled", verdict.unsettled.to_string()),
            (
                "codes tried",
                format!("{} of {}", verdict.guessed, verdict.mailed),
            ),
            ("… meanwhile", verdict.confirmed_meanwhile.to_string()),
            ("lost", verdict.lost.len().to_string()),
            ("phantom", verdict.phantom.len().to_string()),
            ("doubled, same Message-ID", verdict.doubled.to_string()),
            (
                "… without a reason",
                verdict.doubled_without_reason.len().to_string(),
            ),
            (
                "doubled, other Message-ID",
                verdict.doubled_under_another_id.len().to_string(),
            ),
            ("faults", list(&self.faults, self.faults_planned)),
            ("surprises", named_counts(&self.surprises)),
            (
                "slowest stop",
                format!("{:.1} s", self.slowest_stop.as_secs_f64()),
            ),
            ("moods", named_counts(&self.moods)),
            (
                "settled after",
                format!("{:.1} s", verdict.settled_after.as_secs_f64()),
            ),
        ];
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .add_rows(facts.map(|(name, value)| [name.to_owned(), value]));
        writeln!(f, "{}\n", table.trim_fmt())?;
        if !self.phases.is_empty() {
            writeln!(f, "{}\n", told(&self.phases).trim_fmt())?;
        }
        for table in [percentiles, spread].map(|table| table(&self.answers, &self.mails)) {
            writeln!(f, "{}\n", table.trim_fmt())?;
        }
        for (what, findings) in [
            ("lost", &verdict.lost),
            ("phantom", &verdict.phantom),
            ("doubled without a reason", &verdict.doubled_without_reason),
            (
                "doubled under another Message-ID",
                &verdict.doubled_under_another_id,
            ),
        ] {
            show(f, what, findings)?;
        }
        write!(f, "{}", self.conclusion())
    }
}

fn show(f: &mut fmt::Formatter<'_>, what: &str, findings: &[Finding]) -> fmt::Result {
    for finding in findings.iter().take(SHOWN) {
        writeln!(f, "{what}: {finding}")?;
    }
    if findings.len() > SHOWN {
        writeln!(f, "{what}: and {} more", findings.len() - SHOWN)?;
    }
    Ok(())
}

fn told(phases: &[Phase]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_header(["PHASE", "REQUESTS", "REPEATED", "FAILED", "LOST", "DOUBLED"]);
    for phase in phases {
        let counts = [
            phase.requests,
            phase.repeated,
            phase.failed,
            phase.lost,
            phase.doubled,
        ];
        let mut row = vec![phase.name.clone()];
        row.extend(counts.map(|count| count.to_string()));
        table.add_row(row);
    }
    table
}

fn list(faults: &BTreeMap<Kind, u64>, planned: usize) -> String {
    match planned {
        0 => "none".to_owned(),
        _ => format!("{} (planned: {planned})", named_counts(faults)),
    }
}

fn named_counts<K: Serialize>(counts: &BTreeMap<K, u64>) -> String {
    let name = |key: &K| match serde_json::to_value(key) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    };
    let each: Vec<_> = counts
        .iter()
        .map(|(key, count)| format!("{} {count}", name(key)))
        .collect();
    match each.is_empty() {
        true => "none".to_owned(),
        false => each.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(acknowledged: usize, faults: u64, lost: Vec<Finding>) -> Report {
        let histogram = || Histogram::new(3).unwrap();
        Report {
            seed: 1,
            ground: None,
            rate: 10.0,
            seconds: 10.0,
            asked: 100,
            at_least: 50,
            faults_planned: 4,
            faults: BTreeMap::from([(Kind::Kill, faults)]),
            surprises: BTreeMap::new(),
            slowest_stop: Duration::ZERO,
            repeated: 0,
            phases: Vec::new(),
            moods: BTreeMap::new(),
            answers: histogram(),
            mails: histogram(),
            verdict: Verdict {
                acknowledged,
                lost,
                ..Verdict::default()
            },
        }
    }

    #[test]
    fn a_run_passes_only_with_enough_samples_and_enough_faults() {
        assert_eq!(report(50, 2, Vec::new()).outcome(), Outcome::Pass);
        assert_eq!(report(49, 4, Vec::new()).outcome(), Outcome::TooFew);
        assert_eq!(report(100, 1, Vec::new()).outcome(), Outcome::TooFew);
        let said = report(49, 4, Vec::new()).to_string();
        assert!(said.ends_with("too few samples: 49 sign-ups were acknowledged, 50 are needed"));
    }

    #[test]
    fn what_is_lost_fails_a_run_however_few_there_were() {
        let lost = Finding {
            whose: "somebody".to_owned(),
            address: String::new(),
            what: "no mail arrived".to_owned(),
        };
        let report = report(1, 0, vec![lost]);
        assert_eq!(report.outcome().code(), 1);
        assert!(
            report
                .to_string()
                .contains("lost: somebody: no mail arrived")
        );
    }
}
