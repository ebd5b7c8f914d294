//! What clap has to say of a command line, said like every other answer: help, the version, and
//! what was not understood.

use std::ffi::OsString;

use anstream::ColorChoice;
use clap::{
    Command, ValueEnum,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{exit, terminal};

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// What `--color` says, before clap reads the rest: its own words have colours, too.
pub(crate) fn color(arguments: &[OsString]) -> ColorChoice {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mut said = None;
    while let Some(word) = words.next().filter(|word| *word != "--") {
        match word.strip_prefix("--color") {
            Some("") => said = words.next(),
            Some(value) => said = value.strip_prefix('=').or(said),
            None => {}
        }
    }
    let color = said.and_then(|said| Color::from_str(said, false).ok());
    color.unwrap_or(Color::Auto).into()
}

/// Says it, and ends the process as it ends where a command has nothing else to do.
pub(crate) fn leave(command: &Command, error: &clap::Error) -> ! {
    let text = match error.kind() {
        // Of a group alone that is a question, whatever the environment sets: no line of three
        // words answers it.
        ErrorKind::MissingSubcommand => of_group(command, error),
        _ => error.render().ansi().to_string(),
    };
    if error.use_stderr() {
        terminal::tell(text.trim_end());
        std::process::exit(error.exit_code());
    }
    terminal::say(text.trim_end());
    let Err(failure) = exit::was_heard() else {
        std::process::exit(0);
    };
    terminal::tell(failure.spoken());
    std::process::exit(failure.exit as i32)
}

fn of_group(command: &Command, error: &clap::Error) -> String {
    let mut command = command.clone();
    command.build();
    let mut group = &command;
    if let Some(ContextValue::String(path)) = error.get(ContextKind::InvalidSubcommand) {
        // `usher nats`: the program, then the group.
        for name in path.split(' ') {
            group = group.find_subcommand(name).unwrap_or(group);
        }
    }
    group.clone().render_help().ansi().to_string()
}
