//! `usher config`: every setting as it holds, and where its value came from; secrets as `set`.

use std::{collections::BTreeMap, marker::PhantomData, path::Path};

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use kit::config::{Held, Settings, Whence, environment};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure, sentence},
    output::{Format, table},
    service::Service,
    settings,
    target::{DataFlag, Target},
    terminal::STRONG,
};

/// Show every setting as it holds, and where its value came from
///
/// Looks where the services look: at flags, else the environment, else the file that USHER_CONFIG
/// names, else defaults. What may hold a password is shown as `set`. What a service would refuse is
/// refused here, in the same words. Without a service: all of them, and what the command itself
/// reads.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher config
  USHER_CONFIG=/etc/usher.toml usher config mailer
  usher config accounts --sign-up-batch 100      # would that be taken?
  usher config --output json | jq '.mailer[] | select(.from != \"default\")'")]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    service: Option<ConfigOf>,
}

#[derive(Debug, Subcommand)]
enum ConfigOf {
    /// The settings of accounts
    Accounts(Flags<accounts::config::Config>),
    /// The settings of verification
    Verification(Flags<verification::config::Config>),
    /// The settings of mailer
    Mailer(Flags<mailer::config::Config>),
}

/// The flags `C`, as they stood on the command line.
#[derive(Debug)]
struct Flags<C>(Box<ArgMatches>, PhantomData<C>);

impl<C: Args> Args for Flags<C> {
    fn augment_args(command: Command) -> Command {
        C::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        C::augment_args_for_update(command)
    }
}

impl<C: FromArgMatches> FromArgMatches for Flags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        C::from_arg_matches(matches)?;
        Ok(Self(Box::new(matches.clone()), PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A setting, for programs.
#[derive(Debug, Serialize)]
struct Row {
    setting: String,
    value: Option<String>,
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

pub(crate) fn run(
    arguments: ConfigArguments,
    data: &Path,
    format: Format,
    slips: &[String],
) -> Result<(), Failure> {
    let held = held(arguments.service, data);
    let held = held.map_err(|error| Failure::new(Exit::Usage, sentence(&error)))?;
    let rows: BTreeMap<&str, Vec<Row>> = held
        .iter()
        .map(|(part, held)| (*part, held.iter().map(Row::from).collect()))
        .collect();
    format.print(&rows, |_| spoken(&held));
    for slip in slips {
        format.warn(slip);
    }
    Ok(())
}

fn held(shown: Option<ConfigOf>, data: &Path) -> anyhow::Result<Vec<(&'static str, Vec<Held>)>> {
    let (service, flags) = match shown {
        None => {
            let services = settings::checked()?;
            let mut all = Vec::new();
            for service in Service::ALL {
                all.push((service.name(), services[service].held(None)));
            }
            all.push(("usher", of_the_command(data)?));
            return Ok(all);
        }
        Some(ConfigOf::Accounts(flags)) => (Service::Accounts, flags.0),
        Some(ConfigOf::Verification(flags)) => (Service::Verification, flags.0),
        Some(ConfigOf::Mailer(flags)) => (Service::Mailer, flags.0),
    };
    let held = settings::of(service)?.held(Some(&flags));
    Ok(vec![(service.name(), held)])
}

/// What the client commands read.
fn of_the_command(data: &Path) -> anyhow::Result<Vec<Held>> {
    let declared = Target::augment_args(DataFlag::augment_args(Command::new("usher")));
    let settings = Settings::of(declared.no_binary_name(true), environment);
    settings.parse::<Target>()?;
    let mut held = settings.held(None);
    let data = data.display().to_string();
    for setting in &mut held {
        if setting.variable == "USHER_DATA" && setting.value.as_ref() != Some(&data) {
            setting.value = Some(data.clone());
            setting.origin = Whence::CommandLine;
        }
    }
    Ok(held)
}

fn spoken(held: &[(&'static str, Vec<Held>)]) -> String {
    let mut text = String::new();
    for (part, held) in held {
        let mut rows = Vec::new();
        for Held {
            variable,
            value,
            origin,
        } in held
        {
            let value = value.clone().unwrap_or_else(|| "–".to_owned());
            let from = match origin {
                Whence::Default => String::new(),
                origin => origin.to_string(),
            };
            rows.push([variable.clone(), value, from]);
        }
        let table = table(["SETTING", "VALUE", "FROM"], rows);
        text.push_str(&format!("{STRONG}{part}{STRONG:#}\n{table}\n\n"));
    }
    text
}

impl From<&Held> for Row {
    fn from(held: &Held) -> Self {
        let (from, file, line) = match &held.origin {
            Whence::CommandLine => ("flag", None, None),
            Whence::Environment => ("environment", None, None),
            Whence::File { path, line } => ("file", Some(path.display().to_string()), Some(*line)),
            Whence::Default => ("default", None, None),
        };
        Self {
            setting: held.variable.clone(),
            value: held.value.clone(),
            from,
            file,
            line,
        }
    }
}
