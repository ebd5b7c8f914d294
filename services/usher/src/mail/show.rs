//! `usher mail show`: every attempt on one mail.

use clap::Args;

use super::view::{self, Attempt};
use crate::{
    exit::{Exit, Failure},
    output::facts,
    session::Session,
};

/// Show every attempt to send one mail (needs the admin token)
#[derive(Debug, Args)]
#[command(after_help = "Example:
  usher mail show 7f0c2b1e-5d4f-4e62-8a3b-90e1d2c3b4a5    # the id of `usher mail list`: the code's")]
pub(crate) struct ShowMailArguments {
    /// The mail's id, which is the id of its code
    #[arg(value_name = "MAIL")]
    code_id: String,
}

pub(super) async fn run(arguments: ShowMailArguments, session: &Session) -> Result<(), Failure> {
    let attempts = view::read(session, &arguments.code_id, 500).await?;
    if attempts.is_empty() {
        let message = format!("The mailer knows no attempt on mail {}.", arguments.code_id);
        return Err(
            Failure::new(Exit::NotFound, message).hint("`usher mail list` shows the newest ones.")
        );
    }
    session.format.print(&attempts, |attempts| spoken(attempts));
    Ok(())
}

fn spoken(attempts: &[Attempt]) -> String {
    let each: Vec<String> = attempts.iter().map(one).collect();
    each.join("\n")
}

fn one(attempt: &Attempt) -> String {
    facts(&[
        ("attempt", attempt.attempt.to_string()),
        ("mail", attempt.code_id.clone()),
        ("account", attempt.account_id.clone()),
        ("outcome", attempt.outcome.clone()),
        ("reply", attempt.reply.clone()),
        ("at", attempt.at.clone().unwrap_or_default()),
        ("trace", attempt.trace_id.clone()),
    ])
}
