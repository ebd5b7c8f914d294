//! `usher man`: manual pages, one a command, made of what `--help` says.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::{
    exit::{Exit, Failure},
    output::Format,
    terminal,
};

/// Print a command's manual page, or write those of all commands into a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher man | man -l -
  usher man account create | man -l -
  usher man --dir ~/.local/share/man/man1     # then: man usher-account-create
  sudo usher man --dir /usr/local/share/man/man1")]
pub(crate) struct ManArguments {
    /// Of this command alone [default: usher itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &ManArguments, usher: Command, format: Format) -> Result<(), Failure> {
    // A page on `usher help` would say what every other one says.
    let mut usher = usher.disable_help_subcommand(true);
    usher.build();
    if let Some(folder) = &arguments.dir {
        let written = fs::create_dir_all(folder).and_then(|()| write_all(&usher, folder));
        let number = written.map_err(|error| {
            let folder = folder.display();
            let message = format!("The manual pages cannot be written into {folder}: {error}.");
            Failure::new(Exit::Failed, message)
        })?;
        format.narrate(format!(
            "{number} manual pages are in {}.",
            folder.display()
        ));
        return Ok(());
    }
    let mut command = &usher;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let message = format!("There is no command `{}`.", arguments.command.join(" "));
            Failure::new(Exit::Usage, message).hint("`usher --help` lists them.")
        })?;
    }
    let text = page(command).map_err(anyhow::Error::from)?;
    terminal::print(&text);
    Ok(())
}

/// Writes the command's page and those below it; says how many.
fn write_all(command: &Command, folder: &Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command)?)?;
    let mut number = 1;
    for below in command.get_subcommands() {
        number += write_all(below, folder)?;
    }
    Ok(number)
}

fn page(command: &Command) -> io::Result<String> {
    // A page is the long help, and its headings are titles: what stands in brackets is none.
    let shown = command.clone().mut_args(|argument| {
        let heading = argument
            .get_help_heading()
            .and_then(|it| it.split(" (").next());
        match heading.map(ToOwned::to_owned) {
            Some(heading) => argument.hide_short_help(false).help_heading(heading),
            None => argument,
        }
    });
    let man = Man::new(shown)
        .source(format!("usher {}", env!("CARGO_PKG_VERSION")))
        .manual("Usher");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    let after = command.get_after_long_help().or(command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    sections(&after).to_writer(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What follows the options in the help, such as `Examples:` and what stands under it, as sections
/// in which each line stays a line.
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    for line in help.lines().filter(|line| !line.is_empty()) {
        match line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            Some(heading) => {
                roff.control("fi", []);
                roff.control("SH", [&*heading.to_uppercase()]);
                roff.control("nf", []);
            }
            None => {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
        }
    }
    roff.control("fi", []);
    roff
}
