//! `usher dlq list`: dead letters, without what is in them.

use std::collections::HashMap;

use clap::Args;

use super::{
    select::{Filters, select},
    view::DeadLetter,
};
use crate::{
    exit::Failure,
    output::{self, table},
    session::Session,
};

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
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = output::limit)]
    limit: usize,
}

pub(super) async fn run(arguments: ListLettersArguments, session: &Session) -> Result<(), Failure> {
    let limit = arguments.limit;
    let mut letters = select(session, &arguments.filters, limit + 1).await?;
    let (all, mut of_service) = (letters.len(), HashMap::new());
    letters.retain(|letter| {
        let number = of_service.entry(letter.service).or_insert(0);
        *number += 1;
        *number <= limit
    });
    let ids = letters.iter().map(|letter| &*letter.id);
    session
        .format
        .print_named(&letters, ids, |letters| spoken(letters));
    if letters.len() < all {
        session.format.tell_more(limit);
    }
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
