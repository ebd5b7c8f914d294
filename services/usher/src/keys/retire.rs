//! `usher keys retire`: marks a key as gone, once nothing names it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    list::{self, KeyUse},
    replicas::ReplicaArguments,
    ring_file::RingArguments,
};
use crate::{
    exit::{Exit, Failure},
    probe::CodeKeys,
    session::Session,
    terminal::GOOD,
};

/// Third step of a rotation: mark an old key as gone (needs the admin token)
///
/// Refused while a live code or a pending mail names the key, or a replica still makes codes from it.
/// Only a key that is so marked counts as gone, for good; one that a replica merely does not know is
/// left to the others.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher keys retire k1f6b22c9
  usher keys retire k1f6b22c9 --force        # its secret is lost, or known to others

The secret stays in the file, behind the mark: how often somebody asked for another code is counted
under the oldest key for 24 hours. After that the line may be deleted.")]
pub(crate) struct RetireArguments {
    /// The key's id; one that the file has lost may be named, too
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    ring: RingArguments,
    #[command(flatten)]
    replicas: ReplicaArguments,
    /// Ask nobody. Live codes made from the key then answer EXPIRED, and pending mails get the next
    /// code
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Retired {
    key_id: String,
    changed: bool,
    file: PathBuf,
}

pub(super) async fn run(
    arguments: RetireArguments,
    data: &Path,
    session: &Session,
) -> Result<(), Failure> {
    let RetireArguments {
        id,
        ring,
        replicas,
        force,
    } = arguments;
    let mut file = ring.open(data)?;
    let ring = file.used()?;
    if ring.in_use().id() == id {
        let usher = &session.usher;
        let what = format!("{id} is the key in use; codes are made from it.");
        let hint = format!(
            "Put another one in its place first: {usher} keys generate, then {usher} keys activate"
        );
        return Err(Failure::new(Exit::Refused, what).hint(hint));
    }
    let changed = !ring.is_retired(&id);
    let in_file = ring.get(&id).is_some();
    if changed && !force {
        let uses = format!("still makes codes from {id}, or did so a moment ago");
        let unused = |keys: &CodeKeys| !keys.in_use.contains(&id);
        let agreed = replicas.agree(session, &uses, unused).await;
        agreed.map_err(|failure| {
            failure.hint("Wait ten seconds after the last replica has read the file with another key in use, \
                          and name all that run with --replica.")
        })?;
        let keys = list::of_service(&replicas.session(session)).await?;
        if !in_file && keys.iter().all(|key| key.key_id != id) {
            let what = format!(
                "There is no key {id}, neither in {} nor to verification.",
                file.path().display()
            );
            let hint = format!("{} keys list shows those there are.", session.usher);
            return Err(Failure::new(Exit::NotFound, what).hint(hint));
        }
        refuse_if_named(&id, &keys)?;
    }
    if changed {
        file.retire(&id)?;
    }
    let retired = Retired {
        key_id: id,
        changed,
        file: file.path().to_owned(),
    };
    session.format.print(&retired, |Retired { key_id, changed, .. }| match changed {
        true => format!("{GOOD}{key_id} is retired{GOOD:#} wherever the file is read: within 5 s, or at a restart."),
        false => format!("{key_id} is retired already; nothing was changed."),
    });
    Ok(())
}

fn refuse_if_named(id: &str, keys: &[KeyUse]) -> Result<(), Failure> {
    let named = keys.iter().find(|key| key.key_id == id);
    let Some(key) = named.filter(|key| key.live_codes + key.pending_mails > 0) else {
        return Ok(());
    };
    let KeyUse {
        live_codes,
        pending_mails,
        live_until,
        ..
    } = key;
    let what = format!(
        "Nothing was changed: {live_codes} live codes and {pending_mails} pending mails still name {id}."
    );
    let hint = match live_until {
        Some(until) => format!(
            "The last of its codes expires at {until}; retire it after that. --force does it now, and ends those codes."
        ),
        None => {
            "Retire it once its mails are out. --force does it now, and they get the next code."
                .to_owned()
        }
    };
    Err(Failure::new(Exit::Refused, what).hint(hint))
}
