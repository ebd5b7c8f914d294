//! `usher doctor`: asks every part how it is, and says of each finding what to do.

mod broker;
mod checks;
mod finding;
mod operators;
mod settings;

use clap::Args;

use crate::{
    exit::{Exit, Failure},
    session::Session,
    target::Target,
};

/// Find out what is wrong: every part is asked, each finding says what to do
///
/// Looks at the three services (do they answer, are they ready, which versions, what can they not
/// use, do their clocks agree with this machine's), at their admin listeners and the token, at
/// nats-server (version, streams, durables), at the settings of this environment, at mails that wait and at dead letters. Each finding
/// says since when it has been so and what it means for people who sign up. Exits with 1 if
/// something needs a hand; what several parts feel of one fault is counted once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher doctor
  usher doctor --output json | jq '.[] | select(.level != \"ok\")'")]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) target: Target,
}

pub(crate) async fn run(session: &Session, slips: Vec<String>) -> Result<(), Failure> {
    let mut findings = settings::of_this_machine(slips);
    findings.extend(checks::all(session).await);
    session
        .format
        .print(&findings, |findings| finding::spoken(findings));
    let message = match finding::faults(&findings) {
        0 => return Ok(()),
        1 => "One thing needs a hand.".to_owned(),
        more => format!("{more} things need a hand."),
    };
    Err(Failure::new(Exit::Failed, message))
}
