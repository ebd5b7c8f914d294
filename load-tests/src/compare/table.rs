//! What a comparison showed: a table in Markdown for people and papers, JSON for programs, and how the
//! command ends.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::{Map, Value, json};

use crate::{
    dispatcher::Dispatcher,
    place::Place,
    report::{Outcome, Report},
};

const COLUMNS: [&str; 8] = [
    "acknowledged",
    "no answer",
    "mailed",
    "lost",
    "told so",
    "unmailed",
    "doubled",
    "unknowable",
];

/// One run for each dispatcher and each service that was killed.
#[derive(Debug)]
pub struct Comparison(pub Vec<KilledRun>);

/// One of them.
#[derive(Debug)]
pub struct KilledRun {
    /// How accounts handed its news on.
    pub dispatcher: Dispatcher,
    /// Which service was killed.
    pub killed: Place,
    /// What came of it.
    pub report: Report,
}

impl KilledRun {
    fn kills(&self) -> u64 {
        self.report.faults.values().sum()
    }

    /// In the order of the columns.
    fn counts(&self) -> [usize; COLUMNS.len()] {
        let verdict = &self.report.verdict;
        let forgotten = &verdict.forgotten;
        [
            verdict.acknowledged,
            verdict.unknown,
            verdict.mailed,
            verdict.lost.len() + forgotten.lost,
            forgotten.told,
            forgotten.unanswered,
            verdict.doubled - verdict.doubled_unknowable + verdict.doubled_under_another_id.len(),
            verdict.doubled_unknowable,
        ]
    }

    fn json(&self) -> Value {
        let counts = COLUMNS.iter().zip(self.counts());
        let counts = counts.map(|(column, count)| ((*column).to_owned(), count.into()));
        json!({
            "dispatcher": self.dispatcher,
            "killed": self.killed.name(),
            "kills": self.kills(),
            "counts": counts.collect::<Map<_, _>>(),
            "run": self.report.json(),
        })
    }
}

impl Comparison {
    /// How it ended: as the worst of its runs.
    pub fn outcome(&self) -> Outcome {
        let ended = |outcome: &Outcome| self.0.iter().any(|row| row.report.outcome() == *outcome);
        let worst = [Outcome::Broken, Outcome::TooFew].into_iter().find(ended);
        worst.unwrap_or(Outcome::Pass)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let rows: Vec<_> = self.0.iter().map(KilledRun::json).collect();
        json!({ "outcome": format!("{:?}", self.outcome()), "rows": rows })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_header(["dispatcher", "killed"].into_iter().chain(COLUMNS));
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.0 {
            let killed = format!("{} × {}", row.killed.name(), row.kills());
            let counts = row.counts().map(|count| count.to_string());
            table.add_row(
                [row.dispatcher.name().to_owned(), killed]
                    .into_iter()
                    .chain(counts),
            );
        }
        writeln!(f, "{table}\n")?;
        for row in &self.0 {
            if row.report.outcome() != Outcome::Pass {
                let (dispatcher, killed) = (row.dispatcher.name(), row.killed.name());
                writeln!(f, "{dispatcher}, {killed} killed: {}\n", row.report)?;
            }
        }
        f.write_str(match self.outcome() {
            Outcome::Pass => "PASS: nothing is wrong but what a dispatcher in memory loses",
            Outcome::Broken => "FAIL: not everything is conserved that has to be",
            Outcome::TooFew => "NO PASS: too few samples",
        })
    }
}
