//! `usher account resend`: asks for another code.

use std::time::Duration;

use clap::Args;
use proto::verification::{ResendCodeRequest, resend_code_request::Target};
use serde::Serialize;

use crate::{exit::Failure, service::Service, session::Session};

/// Ask for another code, or for the pending mail at once
///
/// At most one a minute, five an hour and ten a day for one address. Unknown accounts get the same
/// answer, so that nobody can find out who signed up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher account resend 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f
  usher account resend ada@example.com")]
pub(crate) struct ResendArguments {
    /// The account's id, or its address
    #[arg(value_name = "ACCOUNT")]
    whom: String,
}

#[derive(Debug, Serialize)]
struct Resent {
    next_after_seconds: u64,
}

pub(super) async fn run(arguments: ResendArguments, session: &Session) -> Result<(), Failure> {
    let target = match arguments.whom.contains('@') {
        true => Target::Email(arguments.whom),
        false => Target::AccountId(arguments.whom),
    };
    let request = ResendCodeRequest {
        target: Some(target),
    };
    let answer = session.verification()?.resend_code(request).await;
    let reply = session.reply(Service::Verification, answer)?;
    let next = reply.next_after.unwrap_or_default();
    let resent = Resent {
        next_after_seconds: Duration::try_from(next).unwrap_or_default().as_secs(),
    };
    session.format.print(&resent, spoken);
    Ok(())
}

fn spoken(resent: &Resent) -> String {
    format!(
        "If there is such an account and it is not verified, a mail is on its way.\n\
         The next one can be asked for in {} s.",
        resent.next_after_seconds
    )
}
