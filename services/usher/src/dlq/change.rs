//! What the commands that change something share: which letters are meant, and the plan that is
//! told before.

use std::collections::BTreeMap;

use clap::Args;

use super::{
    select::{Filters, select},
    view::{DeadLetter, KEEPERS, Keeper},
};
use crate::{
    exit::{Exit, Failure},
    service::Service,
    session::Session,
};

/// Which letters are meant: some by their ids, those that pass the filters, or all.
#[derive(Debug, Args)]
pub(super) struct Meant {
    /// Ids of dead letters, as `usher dlq list` shows them
    #[arg(value_name = "LETTER")]
    ids: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// All that there are
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Show the plan, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Meant {
    /// The letters that are meant.
    pub(super) async fn letters(&self, session: &Session) -> Result<Vec<DeadLetter>, Failure> {
        if !self.ids.is_empty() {
            return self.by_ids(session).await;
        }
        // Nothing said must not mean everything.
        if self.filters.are_empty() && !self.all {
            let message = "Which dead letters are meant is not said.";
            let hint = "Give their ids, a filter such as --reason REASON, or --all.";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        select(session, &self.filters, usize::MAX).await
    }

    async fn by_ids(&self, session: &Session) -> Result<Vec<DeadLetter>, Failure> {
        if !self.filters.are_empty() {
            let message = "Ids and filters together mean nothing.";
            return Err(Failure::new(Exit::Usage, message).hint("Give one or the other."));
        }
        let mut letters = Vec::new();
        for id in &self.ids {
            // All are found before anything is changed: a slip in the last id changes nothing.
            let found = find(session, id).await?;
            letters.push(found.ok_or_else(|| {
                let message = format!("There is no dead letter {id}. Nothing was changed.");
                Failure::new(Exit::NotFound, message)
                    .hint("`usher dlq list` shows those that there are.")
            })?);
        }
        Ok(letters)
    }
}

async fn find(session: &Session, id: &str) -> Result<Option<DeadLetter>, Failure> {
    for service in KEEPERS {
        match Keeper::of(session, service)?.get(id).await {
            Ok(found) => return Ok(found.letter.map(|letter| DeadLetter::of(service, letter))),
            Err(failure) if failure.exit == Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

/// Says what is going to happen: how many letters of which service, for which reason.
pub(super) fn tell_plan(session: &Session, verb: &str, letters: &[DeadLetter]) {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for letter in letters {
        *numbers.entry((letter.service, &letter.reason)).or_default() += 1;
    }
    let dead_letters = match letters.len() {
        1 => "1 dead letter".to_owned(),
        number => format!("{number} dead letters"),
    };
    let mut plan = format!("Plan: {verb} {dead_letters}.");
    for ((service, reason), number) in numbers {
        plan.push_str(&format!("\n  {number:>6}  {service:<13} {reason}"));
    }
    session.format.narrate(plan);
}

/// The ids of one service's letters, oldest first, in portions of `size`.
pub(super) fn portions(letters: &[DeadLetter], service: Service, size: usize) -> Vec<Vec<String>> {
    let mut ids = Vec::new();
    // They are listed newest first; what came first is handled first.
    for letter in letters.iter().rev() {
        if letter.service == service.name() {
            ids.push(letter.id.clone());
        }
    }
    ids.chunks(size).map(<[String]>::to_vec).collect()
}
