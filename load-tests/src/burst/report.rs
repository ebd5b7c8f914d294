//! What a burst showed, in one table.

use std::{fmt, time::Duration};

use comfy_table::{Table, TableStyle};
use serde::Serialize;
use serde_json::{Value, json};

/// One run.
#[derive(Debug)]
pub struct Borne {
    /// One each.
    pub services: Vec<Memory>,
    /// How many wanted to sign up.
    pub asked: u64,
    /// How many did.
    pub acknowledged: u64,
    /// How often somebody was refused for then.
    pub refused: u64,
    /// How often without being told when to come again.
    pub without_hint: u64,
    /// Mails that were accepted.
    pub mails: u64,
    /// Until the last one was answered.
    pub lasting: Duration,
    /// Until the last mail was accepted.
    pub until_the_last_mail: Duration,
    /// MiB that a service may take.
    pub bound: u64,
}

/// What one service took, in KiB: its proportional set size, in which a page that several processes
/// share counts in parts.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Which.
    pub name: &'static str,
    /// Before the burst.
    pub quiet: u64,
    /// When somebody had been refused for the first time.
    pub first_refused: Option<u64>,
    /// At most.
    pub peak: u64,
}

impl Borne {
    /// Whether memory was bounded and nobody left alone.
    pub fn is_passed(&self) -> bool {
        self.complaints().is_empty()
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for Memory { name, peak, .. } in &self.services {
            if *peak > self.bound * 1024 {
                let (took, bound) = (mebibytes(*peak), self.bound);
                complaints.push(format!("{name} took {took}, above {bound} MiB"));
            }
        }
        if self.acknowledged < self.asked || self.asked == 0 {
            let (acknowledged, asked) = (self.acknowledged, self.asked);
            complaints.push(format!("only {acknowledged} of {asked} could sign up"));
        }
        if self.refused == 0 {
            let unseen = "nobody was refused, so that nobody saw what a full service does; let more \
                          sign up at once (--at-once)";
            complaints.push(unseen.to_owned());
        }
        if self.without_hint > 0 {
            let times = self.without_hint;
            complaints.push(format!("{times} refusals did not say when to come again"));
        }
        if self.mails < self.acknowledged {
            let missing = self.acknowledged - self.mails;
            complaints.push(format!("{missing} mails are missing"));
        }
        complaints
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "passed": self.is_passed(),
            "complaints": self.complaints(),
            "services_kib": self.services,
            "asked": self.asked,
            "acknowledged": self.acknowledged,
            "refused": self.refused,
            "refused_without_hint": self.without_hint,
            "mails": self.mails,
            "lasting_s": self.lasting.as_secs_f64(),
            "until_the_last_mail_s": self.until_the_last_mail.as_secs_f64(),
        })
    }
}

impl fmt::Display for Borne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let header = ["SERVICE", "BEFORE", "FIRST REFUSAL", "PEAK PSS", "MAY BE"];
        table.load_style(TableStyle::new()).set_header(header);
        for service in &self.services {
            table.add_row([
                service.name.to_owned(),
                mebibytes(service.quiet),
                service.first_refused.map_or("-".to_owned(), mebibytes),
                mebibytes(service.peak),
                format!("{} MiB", self.bound),
            ]);
        }
        writeln!(f, "{}\n", table.trim_fmt())?;
        let (lasting, all) = (
            self.lasting.as_secs_f64(),
            self.until_the_last_mail.as_secs_f64(),
        );
        writeln!(
            f,
            "{} of {} signed up in {lasting:.0} s, {} times refused until there was room; {} mails in {all:.0} s",
            self.acknowledged, self.asked, self.refused, self.mails
        )?;
        match &self.complaints()[..] {
            [] => write!(
                f,
                "PASS: memory is bounded, and whoever was refused was told when to come again"
            ),
            complaints => write!(f, "FAIL: {}", complaints.join("; ")),
        }
    }
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{} MiB", kibibytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borne() -> Borne {
        Borne {
            services: vec![Memory {
                name: "accounts",
                quiet: 10 * 1024,
                first_refused: Some(60 * 1024),
                peak: 80 * 1024,
            }],
            asked: 10,
            acknowledged: 10,
            refused: 5,
            without_hint: 0,
            mails: 10,
            lasting: Duration::from_secs(1),
            until_the_last_mail: Duration::from_secs(2),
            bound: 80,
        }
    }

    #[test]
    fn each_bound_that_is_passed_is_a_complaint() {
        assert!(borne().is_passed());
        for broken in [
            Borne {
                bound: 79,
                ..borne()
            },
            Borne {
                acknowledged: 9,
                ..borne()
            },
            Borne {
                refused: 0,
                ..borne()
            },
            Borne {
                without_hint: 1,
                ..borne()
            },
            Borne {
                mails: 9,
                ..borne()
            },
        ] {
            assert!(!broken.is_passed(), "{broken}");
        }
    }
}
