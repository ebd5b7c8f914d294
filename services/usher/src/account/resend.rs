//! `usher account resend`: asks for another code.

use std::time::Duration;

use clap::Args;
use proto::verification::{ResendCodeRequest, resend_code_request::Target};
use serde::Serialize;

use crate::{exit::Failure, session::Session, target::Service};

/// Ask for another code, or for the pending mail at once
///
/// At most one a minute, five an hour and ten a day for one address. Unknown accounts get the same answer, so that
/// nobody can find out who signed up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account resend 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account resend ada@example.com")]
pub(crate) struct Arguments {
    /// The account's id, or its address
    #[arg(value_name = "ACCOUNT")]
    whom: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    next_after_seconds: u64,
}

pub(super) async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let target = match arguments.whom.contains('@') {
        true => Target::Email(arguments.whom),
        false => Target::AccountId(arguments.whom),
    };
    let reply = session
        .verification()?
        .resend_code(ResendCodeRequest {
            target: Some(target),
        })
        .await;
    let reply = reply
        .map_err(session.refused(Service::Verification))?
        .into_inner();
    let next = reply
        .next_after
        .and_then(|delay| Duration::try_from(delay).ok())
        .unwrap_or_default();
    session.format.print(
        &Answer {
            next_after_seconds: next.as_secs(),
        },
        |answer| {
            format!(
                "If there is such an account and it is not verified, a mail is on its way.\n\
             The next one can be asked for in {} s.",
                answer.next_after_seconds
            )
        },
    );
    Ok(())
}
