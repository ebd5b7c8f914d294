//! What environment and file say to the services, as every command of `usher` finds it: `parse` for
//! a service, `local` for its children, `config` and `doctor` to show it.

use clap::{Args, Command};
use kit::config::{Settings, SettingsFile, environment};

use crate::service::{PerService, Service};

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

/// The same, none of which the service itself would refuse.
pub(crate) fn checked() -> anyhow::Result<PerService<Settings>> {
    let services = of_services()?;
    for service in Service::ALL {
        check(service, &services[service])?;
    }
    Ok(services)
}

/// Refuses settings that the service itself would refuse.
pub(crate) fn check(service: Service, settings: &Settings) -> anyhow::Result<()> {
    match service {
        Service::Accounts => settings.parse::<accounts::config::Config>().map(drop),
        Service::Verification => settings.parse::<verification::config::Config>().map(drop),
        Service::Mailer => settings.parse::<mailer::config::Config>().map(drop),
    }
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
