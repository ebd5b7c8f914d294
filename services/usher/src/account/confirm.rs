//! `usher account confirm`: tells whether a code is right, in all six answers.

use std::time::Duration;

use clap::Args;
use proto::verification::{ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target};
use serde::Serialize;

use super::view::word;
use crate::{
    exit::{Exit, Failure},
    session::{Session, trace_id},
    target::Service,
    terminal::GOOD,
};

/// Confirm an account with the code from its mail
///
/// A wrong code counts: five wrong ones end the code, 25 within 24 hours the day.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account confirm 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f 12345678
  usher account confirm 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f 1234 5678
  usher account confirm --link 7f0c2b1e-5d4f-4e62-8a3b-90e1d2c3b4a5 12345678")]
pub(crate) struct Arguments {
    /// ID is the code's, as the link in the mail names it, instead of the account's
    #[arg(long)]
    link: bool,
    /// The account's id
    #[arg(value_name = "ID")]
    id: String,
    /// The code as it stands in the mail; spaces are welcome
    #[arg(required = true, value_name = "CODE")]
    code: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

pub(super) async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let target = match arguments.link {
        true => Target::CodeId(arguments.id),
        false => Target::AccountId(arguments.id),
    };
    let request = ConfirmCodeRequest {
        target: Some(target),
        code: arguments.code.join(" "),
    };
    let reply = session.verification()?.confirm_code(request).await;
    let reply = reply
        .map_err(session.refused(Service::Verification))?
        .into_inner();
    let retry = reply
        .retry_after
        .and_then(|delay| Duration::try_from(delay).ok());
    let outcome = reply.outcome();
    let left = reply.attempts_left;
    let refused = |message: &str, hint: &str| {
        let mut failure = Failure::new(Exit::Refused, message).hint(hint);
        failure.reason = Some(word(outcome.as_str_name(), "CONFIRM_OUTCOME_"));
        failure.retry_after_seconds = retry.map(|delay| delay.as_secs());
        failure
    };
    let another = "`usher account resend` sends a new code.";
    let said = match outcome {
        ConfirmOutcome::Ok => "Confirmed. The account is verified.",
        ConfirmOutcome::AlreadyVerified => "The account had been verified before; nothing changed.",
        ConfirmOutcome::Wrong => {
            return Err(refused(
                "The code is wrong.",
                &format!("This code takes {left} more guesses."),
            ));
        }
        ConfirmOutcome::Expired => return Err(refused("The code's time is over.", another)),
        ConfirmOutcome::Superseded => {
            return Err(refused(
                "A newer code replaced this one.",
                "Use the code in the newest mail.",
            ));
        }
        ConfirmOutcome::Burnt => return Err(refused("Too many wrong guesses.", another)),
        ConfirmOutcome::Unspecified => {
            return Err(Failure::new(
                Exit::Failed,
                "Verification gave an answer that this version does not know.",
            ));
        }
    };
    let answer = Answer {
        outcome: word(outcome.as_str_name(), "CONFIRM_OUTCOME_"),
        trace_id: trace_id(),
    };
    session
        .format
        .print(&answer, |_| format!("{GOOD}{said}{GOOD:#}"));
    Ok(())
}
