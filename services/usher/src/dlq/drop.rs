//! `usher dlq drop`: deletes dead letters for good.

use clap::Args;
use serde::Serialize;

use super::{
    change::{Meant, portions, tell_plan},
    view::{KEEPERS, Keeper},
};
use crate::{exit::Failure, session::Session};

/// Letters of one call: as many as a service takes.
const PORTION: usize = 500;

/// Delete dead letters for good; nobody can replay them any more (needs the admin token)
///
/// The plan is told before anything changes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher dlq drop 018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11
  usher dlq drop --reason unknown_type --older-than 7d --dry-run")]
pub(crate) struct DropArguments {
    #[command(flatten)]
    meant: Meant,
}

#[derive(Debug, Serialize)]
struct Dropped {
    planned: usize,
    dry_run: bool,
    dropped: u32,
}

pub(super) async fn run(arguments: DropArguments, session: &Session) -> Result<(), Failure> {
    let letters = arguments.meant.letters(session).await?;
    tell_plan(session, "drop", &letters);
    let mut report = Dropped {
        planned: letters.len(),
        dry_run: arguments.meant.dry_run,
        dropped: 0,
    };
    if !report.dry_run {
        let step = session.format.progress().step("dropping");
        for service in KEEPERS {
            let mut keeper = Keeper::of(session, service)?;
            for ids in portions(&letters, service, PORTION) {
                report.dropped += keeper.drop(ids).await?;
                step.now(&format!("{} of {} dropped", report.dropped, report.planned));
            }
        }
    }
    session
        .format
        .print(&report, |report| match report.dropped {
            0 => "Nothing was changed.".to_owned(),
            1 => "1 dead letter was dropped.".to_owned(),
            dropped => format!("{dropped} dead letters were dropped."),
        });
    Ok(())
}
