//! Reads the command line: finds which command it is, gives a service's settings to its flags, and
//! puts what is refused into words that hold no secret.

use std::{collections::BTreeSet, ffi::OsString};

use clap::{ArgMatches, Command, Error, FromArgMatches as _};
use kit::config::{self, FILE_VARIABLE, Settings};

use crate::{
    cli::{self, Cli},
    help,
    output::Format,
    service::Service,
    settings,
};

/// Variables that are read somewhere else than by a flag.
const BESIDE_FLAGS: [&str; 2] = [FILE_VARIABLE, "USHER_NATS_SERVER"];

/// What was asked for. Prints help, or what was not understood, and exits if that is what there is
/// to do.
///
/// # Errors
/// What is wrong with a setting, and how to say it.
pub(crate) fn parse() -> Result<Cli, (Format, anyhow::Error)> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    help::color(&arguments).write_global();
    let command = without_empty_variables(cli::command());
    // A first look, at whatever can be understood: which command it is, wherever flags stand.
    let first = command.clone().ignore_errors(true);
    let first = first.try_get_matches_from(&arguments);
    // Help, which shows defaults and never what a file says.
    let first = first.or_else(|_| cli::command().try_get_matches_from(&arguments));
    let first = first.unwrap_or_else(leave);
    let format = first.get_one("output").copied().unwrap_or(Format::Table);
    let path = path(&first);
    let settings = service_of(&path).map(settings::of).transpose();
    let settings = settings.map_err(|error| (format, error))?;
    let mut command = match &settings {
        Some(settings) => with_defaults(command, &path, settings),
        None => command,
    };
    let matches = command.try_get_matches_from_mut(&arguments);
    let matches = matches.map_err(|error| {
        let told = told(&path, settings.as_ref(), &error, &arguments);
        (format, told.unwrap_or_else(|| leave(error)))
    })?;
    if let Some(settings) = &settings {
        let both = settings.refuse_both(Some(innermost(&matches)));
        both.map_err(|refused| (format, refused.into()))?;
    }
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(leave))
}

/// What stands behind the last subcommand.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => innermost(inner),
        None => matches,
    }
}

fn leave<T>(error: Error) -> T {
    help::leave(&cli::command(), &config::hide_secrets(error))
}

/// The names of the command and of its subcommands.
fn path(matches: &ArgMatches) -> Vec<String> {
    let mut path = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        path.push(name.to_owned());
        matches = inner;
    }
    path
}

/// The service whose settings are the flags of the command: `accounts`, `config accounts`.
fn service_of(path: &[String]) -> Option<Service> {
    let name = match path {
        [config, name] if config == "config" => name,
        [name, ..] => name,
        [] => return None,
    };
    Service::ALL
        .into_iter()
        .find(|service| service.name() == name)
}

fn with_defaults(command: Command, path: &[String], settings: &Settings) -> Command {
    match path {
        [] => settings.as_defaults_of(command),
        [name, inner @ ..] => {
            command.mut_subcommand(name, |command| with_defaults(command, inner, settings))
        }
    }
}

/// clap takes an empty variable for a value.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        match value.is_some_and(|value| value.is_empty()) {
            true => argument.env(None::<&str>),
            false => argument,
        }
    });
    command.mut_subcommands(without_empty_variables)
}

/// What is wrong with a setting, told without secrets; `None` for all other mistakes.
fn told(
    path: &[String],
    settings: Option<&Settings>,
    error: &Error,
    arguments: &[OsString],
) -> Option<anyhow::Error> {
    if let Some(settings) = settings
        && config::is_about_a_setting(settings.declared(), error)
    {
        return Some(settings.refusal(error, arguments));
    }
    // Built, so that a subcommand has the flags of those above it, too.
    let mut command = cli::command();
    command.build();
    let mut asked = &command;
    for name in path {
        asked = asked.find_subcommand(name)?;
    }
    config::is_about_a_setting(asked, error)
        .then(|| Settings::of(asked.clone(), config::environment).refusal(error, arguments))
}

/// Misspelt variables of this environment, a sentence each. They are no errors: other programs may
/// have variables that begin so.
pub(crate) fn slips() -> Vec<String> {
    let known = known_variables();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut sentences = Vec::new();
    for (slip, meant) in config::slips(names, &known) {
        sentences.push(format!(
            "The variable {slip} is read by nobody; did you mean {meant}?"
        ));
    }
    sentences
}

fn known_variables() -> BTreeSet<String> {
    let mut known = BTreeSet::from(BESIDE_FLAGS.map(str::to_owned));
    add_variables(&cli::command(), &mut known);
    known
}

fn add_variables(command: &Command, known: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        add_variables(command, known);
    }
}
