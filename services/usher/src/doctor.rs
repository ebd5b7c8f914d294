//! `usher doctor`: asks every part how it is, and says of each finding what to do.

mod checks;

use clap::Args;
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    session::Session,
    target::Target,
    terminal::{BAD, DIM, GOOD, WARN},
};

/// Find out what is wrong: every part is asked, each finding says what to do
///
/// Looks at the three services (do they answer, are they ready, which versions, what do they miss, do their clocks
/// agree with this machine's), at their admin listeners and the token, at nats-server (version, streams, durables,
/// dead letters) and at mails that do not get through. Exits with 1 if something needs a hand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher doctor
  usher doctor --output json | jq '.[] | select(.level != \"ok\")'")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    part: &'static str,
    level: Level,
    what: String,
    /// What to do about it; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Finding {
    fn ok(part: &'static str, what: impl Into<String>) -> Self {
        Self {
            part,
            level: Level::Ok,
            what: what.into(),
            advice: String::new(),
        }
    }

    fn warning(part: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            part,
            level: Level::Warning,
            what: what.into(),
            advice: advice.into(),
        }
    }

    fn problem(part: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            part,
            level: Level::Problem,
            what: what.into(),
            advice: advice.into(),
        }
    }
}

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let findings = checks::all(session).await;
    session.format.print(&findings, |findings| {
        findings.iter().map(spoken).collect::<String>()
    });
    let problems = findings
        .iter()
        .filter(|finding| finding.level == Level::Problem)
        .count();
    match problems {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "One thing needs a hand.")),
        more => Err(Failure::new(
            Exit::Failed,
            format!("{more} things need a hand."),
        )),
    }
}

fn spoken(finding: &Finding) -> String {
    let (style, mark) = match finding.level {
        Level::Ok => (GOOD, "✓"),
        Level::Warning => (WARN, "!"),
        Level::Problem => (BAD, "✗"),
    };
    let mut text = format!(
        "{style}{mark}{style:#} {:<12} {}\n",
        finding.part, finding.what
    );
    if !finding.advice.is_empty() {
        text.push_str(&format!("{:15}{DIM}→ {}{DIM:#}\n", "", finding.advice));
    }
    text
}
