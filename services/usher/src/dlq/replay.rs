//! `usher dlq replay`: hands dead letters to their handlers again.

use clap::Args;
use proto::letters::ReplayOutcome;
use serde::Serialize;

use super::{
    change::{Meant, portions, tell_plan},
    view::{DeadLetter, KEEPERS, Keeper},
};
use crate::{
    account::view::word,
    exit::{Exit, Failure},
    output::table,
    session::Session,
};

/// Letters of one call: as many as a service takes.
const PORTION: usize = 100;

/// Handle dead letters again; what is handled is no dead letter any more (needs the admin token)
///
/// Safe to repeat: an event that had its effect before has none now. A letter that still cannot be
/// handled stays, with the newest reason. The plan is told before anything changes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher dlq replay --reason unknown_account --dry-run    # which ones would that be?
  usher dlq replay --reason unknown_account
  usher dlq replay --all --output json | jq '.letters[] | select(.outcome != \"HANDLED\")'")]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    meant: Meant,
}

#[derive(Debug, Serialize)]
struct Report {
    planned: usize,
    dry_run: bool,
    letters: Vec<ReplayLine>,
}

#[derive(Debug, Serialize)]
struct ReplayLine {
    service: &'static str,
    id: String,
    outcome: String,
    reason: String,
}

pub(super) async fn run(arguments: ReplayArguments, session: &Session) -> Result<(), Failure> {
    let letters = arguments.meant.letters(session).await?;
    tell_plan(session, "replay", &letters);
    let dry_run = arguments.meant.dry_run;
    let mut report = Report {
        planned: letters.len(),
        dry_run,
        letters: Vec::new(),
    };
    if !dry_run {
        replay(session, &letters, &mut report.letters).await?;
    }
    session.format.print(&report, spoken);
    let failed =
        |line: &&ReplayLine| line.outcome != word(ReplayOutcome::Handled.as_str_name(), PREFIX);
    match report.letters.iter().filter(failed).count() {
        0 => Ok(()),
        failed => {
            let message = format!("{failed} of {} were not handled.", report.letters.len());
            let hint =
                "They are still there, with the newest reason; the log of their service says more.";
            Err(Failure::new(Exit::Failed, message).hint(hint))
        }
    }
}

const PREFIX: &str = "REPLAY_OUTCOME_";

async fn replay(
    session: &Session,
    letters: &[DeadLetter],
    lines: &mut Vec<ReplayLine>,
) -> Result<(), Failure> {
    for service in KEEPERS {
        let portions = portions(letters, service, PORTION);
        let (all, mut done): (usize, usize) = (portions.iter().map(Vec::len).sum(), 0);
        if all == 0 {
            continue;
        }
        let mut keeper = Keeper::of(session, service)?;
        let step = session.format.progress().step("");
        // Portions small enough that each call ends before its deadline, with what it did.
        for ids in portions {
            step.now(&format!("{} replays, {done} of {all} done", service.name()));
            for replayed in keeper.replay(ids).await? {
                done += 1;
                lines.push(ReplayLine {
                    service: service.name(),
                    outcome: word(replayed.outcome().as_str_name(), PREFIX),
                    id: replayed.id,
                    reason: replayed.reason,
                });
            }
        }
        step.done(service.name(), &format!("{done} replayed"));
    }
    Ok(())
}

fn spoken(report: &Report) -> String {
    if report.dry_run || report.letters.is_empty() {
        return "Nothing was changed.".to_owned();
    }
    let rows = report.letters.iter().map(|line| {
        [
            line.id.clone(),
            line.service.to_owned(),
            line.outcome.clone(),
            line.reason.clone(),
        ]
    });
    table(["LETTER", "SERVICE", "OUTCOME", "REASON"], rows)
}
