//! `usher dlq list`: dead letters, without what is in them.

use clap::Args;

use super::{
    select::{Filters, select},
    view::DeadLetter,
};
use crate::{exit::Failure, output::table, session::Session};

/// List events that no handler could use, newest first (needs the admin token)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher dlq list
  usher dlq list --reason unknown_account --older-than 1d
  usher dlq list --limit 1000 --output json | jq -r '.[].reason' | sort | uniq -c")]
pub(crate) struct ListLettersArguments {
    #[command(flatten)]
    filters: Filters,
    /// How many of each service at most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

pub(super) async fn run(arguments: ListLettersArguments, session: &Session) -> Result<(), Failure> {
    let letters = select(session, &arguments.filters, arguments.limit).await?;
    session.format.print(&letters, |letters| spoken(letters));
    Ok(())
}

fn spoken(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "No dead letters.".to_owned();
    }
    let rows = letters.iter().map(|letter| {
        [
            letter.id.clone(),
            letter.service.to_owned(),
            letter.reason.clone(),
            letter.subject.clone(),
            letter.account_id.clone(),
            letter.attempts.to_string(),
            letter.last_at.clone().unwrap_or_default(),
        ]
    });
    let heading = [
        "LETTER", "SERVICE", "REASON", "SUBJECT", "ACCOUNT", "ATTEMPTS", "GIVEN UP",
    ];
    table(heading, rows)
}
