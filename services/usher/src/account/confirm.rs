//! `usher account confirm`: tells whether a code is right, in all six answers.

use std::time::Duration;

use clap::Args;
use proto::verification::{
    ConfirmCodeRequest, ConfirmCodeResponse, ConfirmOutcome, confirm_code_request::Target,
};
use serde::Serialize;

use super::{view::word, whom::id_of};
use crate::{
    exit::{Exit, Failure},
    root_span::trace_id,
    service::Service,
    session::Session,
    terminal::GOOD,
};

/// Confirm an account with the code from its mail
///
/// A wrong code counts: five wrong ones end the code, 25 within 24 hours the day.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account confirm 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f 12345678
  usher account confirm ada@example.com 1234 5678
  usher account confirm --link 7f0c2b1e-5d4f-4e62-8a3b-90e1d2c3b4a5 12345678")]
pub(crate) struct ConfirmArguments {
    /// ACCOUNT is the code's id, as the link in the mail names it
    #[arg(long)]
    link: bool,
    /// The account's id, or its address, which needs the admin token
    #[arg(value_name = "ACCOUNT")]
    whom: String,
    /// The code as it stands in the mail; spaces are welcome
    #[arg(required = true, value_name = "CODE")]
    code: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Confirmed {
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

pub(super) async fn run(arguments: ConfirmArguments, session: &Session) -> Result<(), Failure> {
    let target = match arguments.link {
        true => Target::CodeId(arguments.whom),
        false => Target::AccountId(id_of(&arguments.whom, session).await?),
    };
    let request = ConfirmCodeRequest {
        target: Some(target),
        code: arguments.code.join(" "),
    };
    let answer = session.verification()?.confirm_code(request).await;
    let trace_id = trace_id(&answer);
    let reply = session.reply(Service::Verification, answer)?;
    let said = match reply.outcome() {
        ConfirmOutcome::Ok => "Confirmed. The account is verified.",
        ConfirmOutcome::AlreadyVerified => "The account had been verified before; nothing changed.",
        _ => return Err(refused(&reply)),
    };
    let confirmed = Confirmed {
        outcome: outcome(&reply),
        trace_id,
    };
    session
        .format
        .print(&confirmed, |_| format!("{GOOD}{said}{GOOD:#}"));
    Ok(())
}

fn outcome(reply: &ConfirmCodeResponse) -> String {
    word(reply.outcome().as_str_name(), "CONFIRM_OUTCOME_")
}

fn refused(reply: &ConfirmCodeResponse) -> Failure {
    const ANOTHER: &str = "`usher account resend ACCOUNT` sends a new code.";
    let left = match reply.attempts_left {
        1 => "This code takes 1 more guess.".to_owned(),
        more => format!("This code takes {more} more guesses."),
    };
    let (message, hint) = match reply.outcome() {
        ConfirmOutcome::Wrong => ("The code is wrong.", left.as_str()),
        ConfirmOutcome::Expired => ("The code's time is over.", ANOTHER),
        ConfirmOutcome::Superseded => (
            "A newer code replaced this one.",
            "Use the code in the newest mail.",
        ),
        ConfirmOutcome::Burnt => ("Too many wrong guesses.", ANOTHER),
        ConfirmOutcome::Ok | ConfirmOutcome::AlreadyVerified | ConfirmOutcome::Unspecified => {
            let message = "Verification gave an answer that this version does not know.";
            return Failure::new(Exit::Failed, message);
        }
    };
    let mut failure = Failure::new(Exit::Refused, message).hint(hint);
    failure.reason = Some(outcome(reply));
    let retry_after = reply.retry_after.map(Duration::try_from);
    if let Some(Ok(retry_after)) = retry_after {
        failure.retry_after_seconds = Some(retry_after.as_secs());
    }
    failure
}
