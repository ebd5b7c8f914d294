//! `usher doctor`: asks every part how it is, and says of each finding what to do.

mod checks;
mod finding;
mod settings;

use clap::Args;

use crate::{
    exit::{Exit, Failure},
    session::Session,
    target::Target,
};
use finding::{Finding, Severity};

/// Find out what is wrong: every part is asked, each finding says what to do
///
/// Looks at the three services (do they answer, are they ready, which versions, what do they miss,
/// do their clocks agree with this machine's), at their admin listeners and the token, at
/// nats-server (version, streams, durables), at the settings of this environment, at mails that do not get through and at dead letters.
/// Exits with 1 if something needs a hand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher doctor
  usher doctor --output json | jq '.[] | select(.level != \"ok\")'")]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let mut findings = settings::of_this_machine();
    findings.extend(checks::all(session).await);
    session.format.print(&findings, |findings| {
        String::from_iter(findings.iter().map(Finding::spoken))
    });
    let is_problem = |finding: &&Finding| finding.level == Severity::Problem;
    let message = match findings.iter().filter(is_problem).count() {
        0 => return Ok(()),
        1 => "One thing needs a hand.".to_owned(),
        more => format!("{more} things need a hand."),
    };
    Err(Failure::new(Exit::Failed, message))
}
