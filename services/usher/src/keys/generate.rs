//! `usher keys generate`: appends a key that is known and not used yet.

use std::path::{Path, PathBuf};

use clap::Args;
use kit::keyring::Key;
use serde::Serialize;

use super::ring_file::RingArguments;
use crate::{
    exit::Failure,
    output::facts,
    session::Session,
    terminal::{CODE, GOOD},
};

/// First step of a rotation: add a key that verification knows and does not use yet
///
/// Verification reads the file again every 5 seconds and at its start; where each replica has a file
/// of its own, bring it to all of them. Nothing changes for anybody: the key in use stays in use. In
/// a file without a key the new one is in use at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher keys generate
  usher keys generate --file /etc/usher/code-keys

A rotation is `generate`, then `activate` once every replica knows the key, then `retire` of the old
one once nothing names it. docs/key-rotation.md tells it with its reasons.")]
pub(crate) struct GenerateArguments {
    #[command(flatten)]
    ring: RingArguments,
}

#[derive(Debug, Serialize)]
struct Generated {
    key_id: String,
    in_use: bool,
    file: PathBuf,
}

pub(super) fn run(
    arguments: GenerateArguments,
    data: &Path,
    session: &Session,
) -> Result<(), Failure> {
    let mut file = arguments.ring.open(data)?;
    let key = Key::new(kit::random::bytes(), kit::random::bytes());
    file.append(&key)?;
    let generated = Generated {
        key_id: key.id().to_owned(),
        in_use: file.used()?.in_use() == &key,
        file: file.path().to_owned(),
    };
    let usher = &session.usher;
    let id = [&*generated.key_id];
    session.format.print_named(&generated, id, |generated| {
        let next = match generated.in_use {
            true => "It is the only one, and in use.".to_owned(),
            false => format!(
                "It is not used yet.\nOnce every replica of verification has read the file (5 s, or a restart):  \
                 {CODE}{usher} keys activate {}{CODE:#}",
                generated.key_id
            ),
        };
        let place = facts(&[
            ("key", generated.key_id.clone()),
            ("file", generated.file.display().to_string()),
        ]);
        format!("{GOOD}A new key was made.{GOOD:#} {next}\n{place}")
    });
    Ok(())
}
