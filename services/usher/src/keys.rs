//! `usher keys generate`: puts a new secret key in front of a key file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kit::keyring::{Key, KeyRing, with_newest};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    local::data::write_private,
    output::{Format, facts},
    terminal::GOOD,
};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Generate(GenerateArguments),
}

/// Make a secret key from which verification derives codes
///
/// The key becomes the file's first line: codes made from then on use it; older lines stay, because
/// codes that are still live were derived from them. Restart verification so that it reads the
/// file. `usher up` makes the first key by itself.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher keys generate
  usher keys generate --file /etc/usher/code-keys")]
pub(crate) struct GenerateArguments {
    /// The key file, mode 0600 [default: DATA/code-keys]
    #[arg(long, env = "USHER_CODE_KEYS_FILE", value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Generated {
    key_id: String,
    file: PathBuf,
}

pub(crate) fn run(command: KeysCommand, data: &Path, format: Format) -> Result<(), Failure> {
    let KeysCommand::Generate(arguments) = command;
    let file = arguments.file.unwrap_or_else(|| data.join("code-keys"));
    let failed = |what: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("{}: {what}.", file.display()))
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => {
            // A file that verification would refuse does not become better by another line.
            KeyRing::parse(&text).map_err(|error| failed(&error))?;
            text
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&error)),
    };
    let key = Key::new(kit::random::bytes(), kit::random::bytes());
    let text = with_newest(&text, &key);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    write_private(&file, text.trim_end()).map_err(|error| failed(&error))?;
    let generated = Generated {
        key_id: key.id().to_owned(),
        file,
    };
    format.print_named(&generated, [&*generated.key_id], spoken);
    Ok(())
}

fn spoken(generated: &Generated) -> String {
    let place = facts(&[
        ("key", generated.key_id.clone()),
        ("file", generated.file.display().to_string()),
    ]);
    format!(
        "{GOOD}A new key was made.{GOOD:#} Restart verification so that it reads the file.\n{place}"
    )
}
