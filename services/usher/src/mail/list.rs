//! `usher mail list`: attempts to send mails, newest first.

use clap::Args;

use super::view::{self, Attempt};
use crate::{
    exit::Failure,
    output::{self, table},
    session::Session,
};

/// List attempts to send mails, newest first (needs the admin token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher mail list
  usher mail list --quiet | sort | uniq -c       # attempts a mail
  usher mail list --limit 1000 --output json | jq -r '.[] | select(.outcome != \"ACCEPTED\") | .reply'")]
pub(crate) struct ListMailsArguments {
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = output::limit)]
    limit: usize,
}

pub(super) async fn run(arguments: ListMailsArguments, session: &Session) -> Result<(), Failure> {
    let limit = arguments.limit;
    let mut attempts = view::read(session, "", limit + 1).await?;
    let is_all = attempts.len() <= limit;
    attempts.truncate(limit);
    let mails = attempts.iter().map(|attempt| &*attempt.code_id);
    session
        .format
        .print_named(&attempts, mails, |attempts| spoken(attempts));
    if !is_all {
        session.format.tell_more(limit);
    }
    Ok(())
}

fn spoken(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "No mail has been attempted yet.".to_owned();
    }
    let rows = attempts.iter().map(|attempt| {
        let at = attempt.at.clone().unwrap_or_default();
        [
            attempt.code_id.clone(),
            attempt.attempt.to_string(),
            attempt.outcome.clone(),
            at,
            attempt.reply.clone(),
        ]
    });
    table(["MAIL", "ATTEMPT", "OUTCOME", "AT", "REPLY"], rows)
}
