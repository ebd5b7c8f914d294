//! What a run with hostile clients showed, in one table: what each attack did and how it was
//! answered, how the services stood, and what became of those who signed up.

use std::{fmt, time::Duration};

use comfy_table::{Table, TableStyle};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use super::{attack::Attack, friends::Questions, tally::Deeds};
use crate::{
    check::Verdict,
    load::{Answer, Asked},
    report::latency::{quantiles, spoken},
    run::histogram,
};

/// What may not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// MiB that a service takes at most.
    pub memory: u64,
    /// How many times as long as without the attack 99 of 100 sign-ups may take.
    pub ratio: f64,
}

/// One run.
#[derive(Debug)]
pub struct Siege {
    /// One each listener and kind of attack.
    pub rows: Vec<Row>,
    /// One each.
    pub services: Vec<Service>,
    /// Without the attack and with it.
    pub sign_ups: [SignUps; 2],
    /// What all hostile clients together took of the machine.
    pub hostile_cpu: Duration,
    /// How long the attack lasted.
    pub lasting: Duration,
    /// What may not be exceeded.
    pub bounds: Bounds,
    /// The conservation check.
    pub verdict: Verdict,
}

/// One kind of attack on one listener.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Which.
    pub listener: String,
    /// What.
    pub attack: Attack,
    /// What came of it.
    #[serde(flatten)]
    pub deeds: Deeds,
}

/// How one service stood.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Which.
    pub name: &'static str,
    /// KiB of memory before the attack.
    pub quiet: u64,
    /// Most that there were during it.
    pub peak: u64,
    /// What it took of a processor during it.
    pub cpu: Duration,
    /// Whether its process outlived the attack.
    pub is_the_same: bool,
    /// By orchestrators.
    pub probes: Questions,
    /// By operators.
    pub operators: Questions,
}

/// Those who signed up in one part of the run.
#[derive(Debug)]
pub struct SignUps {
    /// How many.
    pub asked: u64,
    /// How many were not acknowledged.
    pub failed: u64,
    /// From due to answered, in microseconds.
    pub answers: Histogram<u64>,
}

impl SignUps {
    pub(super) fn of<'a>(asked: impl Iterator<Item = &'a Asked> + Clone) -> Self {
        let failed = asked
            .clone()
            .filter(|one| !matches!(one.answer, Answer::Acknowledged { .. }));
        let failed = u64::try_from(failed.count()).unwrap_or(u64::MAX);
        let answers = histogram(asked.map(|one| one.latency));
        Self {
            asked: answers.len(),
            failed,
            answers,
        }
    }

    fn p99(&self) -> u64 {
        self.answers.value_at_quantile(0.99)
    }
}

impl Siege {
    /// Whether nobody who is friendly noticed.
    pub fn is_passed(&self) -> bool {
        self.complaints().is_empty()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "latencies are far below 2^53 µs"
    )]
    fn ratio(&self) -> f64 {
        let [without, with] = self.sign_ups.each_ref().map(SignUps::p99);
        with as f64 / without.max(1) as f64
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (sign_ups, when) in self.sign_ups.iter().zip(["before", "during"]) {
            let SignUps { asked, failed, .. } = sign_ups;
            if *failed > 0 || *asked == 0 {
                complaints.push(format!(
                    "{failed} of {asked} sign-ups {when} the attack failed"
                ));
            }
        }
        for row in &self.rows {
            if row.deeds.connections == 0 || row.deeds.bytes == 0 {
                let (attack, listener) = (row.attack.name(), &row.listener);
                complaints.push(format!("{attack} did nothing to {listener}"));
            }
        }
        let (ratio, bound) = (self.ratio(), self.bounds.ratio);
        if ratio > bound {
            complaints.push(format!(
                "p99 of sign-ups is {ratio:.1} times what it was, above {bound}"
            ));
        }
        for service in &self.services {
            complaints.extend(self.complaints_of(service));
        }
        if !self.verdict.is_conserved() {
            complaints.push("not everything is conserved".to_owned());
        }
        complaints
    }

    fn complaints_of(&self, service: &Service) -> Vec<String> {
        let (name, bound) = (service.name, self.bounds.memory);
        let mut complaints = Vec::new();
        if service.peak > bound * 1024 {
            let peak = mebibytes(service.peak);
            complaints.push(format!("{name} took {peak}, above {bound} MiB"));
        }
        if !service.is_the_same {
            complaints.push(format!("{name} ended and was started again"));
        }
        for (questions, of) in [
            (&service.probes, "probes"),
            (&service.operators, "admin calls"),
        ] {
            if !questions.is_all_answered() {
                let Questions {
                    asked, answered, ..
                } = questions;
                let trouble = questions.trouble.as_deref().unwrap_or("none was asked");
                complaints.push(format!(
                    "{answered} of {asked} {of} of {name} were answered ({trouble})"
                ));
            }
        }
        complaints
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let sign_ups = self.sign_ups.each_ref().map(|one| {
            json!({ "asked": one.asked, "failed": one.failed, "answer_us": quantiles(&one.answers) })
        });
        let [without, with] = sign_ups;
        json!({
            "passed": self.is_passed(),
            "complaints": self.complaints(),
            "attacks": self.rows,
            "services": self.services,
            "sign_ups": { "without": without, "with": with, "ratio_of_p99": self.ratio() },
            "hostile_cpu_s": self.hostile_cpu.as_secs_f64(),
            "verdict": self.verdict,
        })
    }
}

impl fmt::Display for Siege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |header: &[&str]| {
            let mut table = Table::new();
            table
                .load_style(TableStyle::new())
                .set_header(header.to_vec());
            table
        };
        let mut attacks = table(&[
            "LISTENER",
            "ATTACK",
            "PACE",
            "CONNECTIONS",
            "AT ONCE",
            "STREAMS",
            "RESETS",
            "KIB SENT",
            "ANSWERED",
        ]);
        for Row {
            listener,
            attack,
            deeds,
        } in &self.rows
        {
            attacks.add_row([
                listener.clone(),
                attack.name().to_owned(),
                format!("{}/s", attack.pace().a_second),
                deeds.connections.to_string(),
                deeds.at_once.to_string(),
                deeds.streams.to_string(),
                deeds.resets.to_string(),
                (deeds.bytes / 1024).to_string(),
                deeds.to_string(),
            ]);
        }
        let mut services = table(&[
            "SERVICE",
            "MEMORY",
            "PEAK",
            "CPU",
            "PROBES",
            "SLOWEST",
            "ADMIN CALLS",
            "SLOWEST",
        ]);
        for service in &self.services {
            let of = |questions: &Questions| {
                let Questions {
                    asked,
                    answered,
                    slowest,
                    ..
                } = questions;
                [
                    format!("{answered} of {asked}"),
                    format!("{:.0} ms", slowest * 1e3),
                ]
            };
            let mut row = vec![
                service.name.to_owned(),
                mebibytes(service.quiet),
                mebibytes(service.peak),
                format!("{:.1} s", service.cpu.as_secs_f64()),
            ];
            row.extend(of(&service.probes));
            row.extend(of(&service.operators));
            services.add_row(row);
        }
        let mut sign_ups = table(&["SIGN-UPS", "ASKED", "FAILED", "P50", "P99", "SLOWEST"]);
        for (one, when) in self.sign_ups.iter().zip(["without the attack", "with it"]) {
            let [p50, p99, slowest] =
                [0.5, 0.99, 1.0].map(|quantile| spoken(one.answers.value_at_quantile(quantile)));
            sign_ups.add_row([
                when.to_owned(),
                one.asked.to_string(),
                one.failed.to_string(),
                p50,
                p99,
                slowest,
            ]);
        }
        for table in [attacks, services, sign_ups] {
            writeln!(f, "{}\n", table.trim_fmt())?;
        }
        let (cpu, lasting) = (self.hostile_cpu.as_secs_f64(), self.lasting.as_secs_f64());
        writeln!(
            f,
            "The hostile clients took {cpu:.0} s of CPU in {lasting:.0} s, at the lowest priority: only what nobody else wanted.",
        )?;
        let Verdict {
            acknowledged,
            mailed,
            lost,
            ..
        } = &self.verdict;
        writeln!(
            f,
            "{acknowledged} acknowledged, {mailed} mailed, {} lost; p99 with it: {:.1} times",
            lost.len(),
            self.ratio()
        )?;
        match &self.complaints()[..] {
            [] => write!(f, "PASS: nobody who is friendly noticed"),
            complaints => write!(f, "FAIL: {}", complaints.join("; ")),
        }
    }
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{} MiB", kibibytes.div_ceil(1024))
}
