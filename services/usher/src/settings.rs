//! What environment and file say to the services, as every command of `usher` finds it: `parse` for
//! a service, `local` for its children, `config` and `doctor` to show it.

use std::collections::BTreeSet;

use clap::{Args, Command};
use kit::config::{self, FILE_VARIABLE, Settings, SettingsFile, environment};

use crate::{
    cli,
    service::{PerService, Service},
};

/// Variables that are read somewhere else than by a flag.
const BESIDE_FLAGS: [&str; 2] = [FILE_VARIABLE, "USHER_NATS_SERVER"];

/// What is said to one service.
pub(crate) fn of(service: Service) -> anyhow::Result<Settings> {
    find(service, file()?.as_ref())
}

/// What is said to each of the services; the file is right in all of its tables.
pub(crate) fn of_services() -> anyhow::Result<PerService<Settings>> {
    let file = file()?;
    Ok(PerService {
        accounts: find(Service::Accounts, file.as_ref())?,
        verification: find(Service::Verification, file.as_ref())?,
        mailer: find(Service::Mailer, file.as_ref())?,
    })
}

/// Refuses settings that the service itself would refuse.
pub(crate) fn check(service: Service, settings: &Settings) -> anyhow::Result<()> {
    match service {
        Service::Accounts => settings.parse::<accounts::config::Config>().map(drop),
        Service::Verification => settings.parse::<verification::config::Config>().map(drop),
        Service::Mailer => settings.parse::<mailer::config::Config>().map(drop),
    }
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

fn file() -> anyhow::Result<Option<SettingsFile>> {
    let file = SettingsFile::named()?;
    let services = Service::ALL.map(|service| (service.name(), declared(service)));
    Ok(file.map(|file| file.knowing(&services)))
}

fn find(service: Service, file: Option<&SettingsFile>) -> anyhow::Result<Settings> {
    let name = service.name();
    match service {
        Service::Accounts => Settings::find::<accounts::config::Config>(name, environment, file),
        Service::Verification => {
            Settings::find::<verification::config::Config>(name, environment, file)
        }
        Service::Mailer => Settings::find::<mailer::config::Config>(name, environment, file),
    }
}

fn declared(service: Service) -> Command {
    let command = Command::new(service.name());
    match service {
        Service::Accounts => accounts::config::Config::augment_args(command),
        Service::Verification => verification::config::Config::augment_args(command),
        Service::Mailer => mailer::config::Config::augment_args(command),
    }
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
