//! `usher keys activate`: puts a key first, once every replica knows it.

use std::path::{Path, PathBuf};

use clap::Args;
use kit::keyring::KeyRing;
use serde::Serialize;

use super::{
    replicas::ReplicaArguments,
    ring_file::{RingArguments, RingFile},
};
use crate::{
    exit::{Exit, Failure},
    probe::CodeKeys,
    session::Session,
    terminal::{CODE, GOOD},
};

/// Second step of a rotation: use a key that every replica knows
///
/// Each replica is asked whether it knows the key, and nothing is changed while one does not. Codes
/// made from then on use the key; those made before stay valid. Verification reads the file again
/// every 5 seconds and at its start.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher keys activate
  usher keys activate k1f6b22c9 --file /etc/usher/code-keys \\
      --replica http://10.0.0.7:50152 --replica http://10.0.0.8:50152
  usher keys activate --replica http://verification-headless:50152   # every address of that name")]
pub(crate) struct ActivateArguments {
    /// The key's id [default: the one that is new]
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    ring: RingArguments,
    #[command(flatten)]
    replicas: ReplicaArguments,
    /// Ask nobody: right when verification is stopped everywhere. A replica that runs and does not
    /// know the key leaves its mails to the others and answers ConfirmCode with UNAVAILABLE
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Activated {
    key_id: String,
    /// The one that was in use before.
    before: Option<String>,
    file: PathBuf,
}

pub(super) async fn run(
    arguments: ActivateArguments,
    data: &Path,
    session: &Session,
) -> Result<(), Failure> {
    let mut file = arguments.ring.open(data)?;
    let ring = file.used()?;
    let key_id = chosen(arguments.id, ring, &file, &session.usher)?;
    let before = Some(ring.in_use().id().to_owned()).filter(|before| *before != key_id);
    if before.is_some() {
        if !arguments.force {
            let lacks = format!("does not know the key {key_id}");
            let known = |keys: &CodeKeys| keys.known.contains(&key_id);
            let agreed = arguments.replicas.agree(session, &lacks, known).await;
            agreed.map_err(|failure| failure.hint(advice(&file)))?;
        }
        file.put_first(&key_id)?;
    }
    let activated = Activated {
        key_id,
        before,
        file: file.path().to_owned(),
    };
    let usher = &session.usher;
    session
        .format
        .print(&activated, |activated| spoken(activated, usher));
    Ok(())
}

fn advice(file: &RingFile) -> String {
    format!(
        "A replica knows the key within 5 s of its file having it, or after a restart: bring {} to \
         each. Name all that run with --replica; --force asks nobody.",
        file.path().display()
    )
}

fn chosen(
    named: Option<String>,
    ring: &KeyRing,
    file: &RingFile,
    usher: &str,
) -> Result<String, Failure> {
    let path = file.path().display();
    if let Some(id) = named {
        return match () {
            () if ring.get(&id).is_some() => Ok(id),
            () if ring.is_retired(&id) => {
                let what = format!(
                    "The key {id} in {path} is retired: codes made from it count as expired."
                );
                let hint = format!("Make another one: {usher} keys generate");
                Err(Failure::new(Exit::Refused, what).hint(hint))
            }
            () => {
                let what = format!("There is no key {id} in {path}.");
                let ids: Vec<&str> = ring.ids().collect();
                Err(Failure::new(Exit::NotFound, what).hint(format!("It has {}.", ids.join(", "))))
            }
        };
    }
    let new: Vec<&str> = ring.ids().filter(|id| ring.is_new(id)).collect();
    match &new[..] {
        [id] => Ok((*id).to_owned()),
        [] => {
            let what = format!("There is no new key in {path}.");
            let hint = format!("Make one first: {usher} keys generate");
            Err(Failure::new(Exit::NotFound, what).hint(hint))
        }
        several => {
            let several = several.join(", ");
            let what = format!("There are several new keys in {path}: {several}.");
            let hint = format!("Say which: {usher} keys activate {}", new[0]);
            Err(Failure::new(Exit::Usage, what).hint(hint))
        }
    }
}

fn spoken(activated: &Activated, usher: &str) -> String {
    let Activated { key_id, before, .. } = activated;
    let Some(before) = before else {
        return format!("{key_id} is in use already; nothing was changed.");
    };
    format!(
        "{GOOD}{key_id} is in use{GOOD:#} wherever the file is read: within 5 s, or at a restart.\n\
         {before} still confirms the codes that were made from it. Once none is left:  \
         {CODE}{usher} keys retire {before}{CODE:#}"
    )
}
