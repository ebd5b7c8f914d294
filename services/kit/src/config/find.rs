//! Where a service's settings are looked for, and what holds: flags, else the environment, else the
//! file, else defaults.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Id, parser::ValueSource};

use super::{
    Held, SettingsFile, Whence, by_file, names,
    refusal::{RefusedSetting, explain, is_flag_given, is_secret},
};
use crate::Private;

/// What environment and file say to a service. Flags come on top of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the settings are declared.
    declared: Command,
    found: Vec<Found>,
}

/// A value that somebody set.
#[derive(Debug, Clone)]
struct Found {
    id: Id,
    variable: String,
    value: Private<OsString>,
    origin: Whence,
}

impl Settings {
    /// Looks for the settings `C` of service `name`.
    ///
    /// # Errors
    /// When the file says something to it that is no setting of it.
    pub fn find<C: Args>(
        name: &'static str,
        environment: impl Fn(&str) -> Option<OsString>,
        file: Option<&SettingsFile>,
    ) -> anyhow::Result<Self> {
        // Without a name in front: there are no arguments where only environment and file are read.
        let declared = C::augment_args(Command::new(name).no_binary_name(true));
        let mut settings = Self::of(declared, environment);
        let Some(file) = file else {
            return Ok(settings);
        };
        let entries = file.of(name, &settings.declared)?;
        for argument in settings.declared.get_arguments() {
            let (Some(key), Some(variable)) = (names::key(argument), names::variable(argument))
            else {
                continue;
            };
            // The last one: what stands in the service's own table.
            let entry = entries.iter().rfind(|entry| entry.key == key);
            let is_set = settings
                .found
                .iter()
                .any(|found| found.variable == variable);
            // An empty text is unset, as an empty variable is.
            if let Some(entry) = entry.filter(|entry| !is_set && !entry.value.expose().is_empty()) {
                settings.found.push(Found {
                    id: argument.get_id().clone(),
                    variable,
                    value: entry.value.clone(),
                    origin: Whence::File {
                        path: file.path().to_owned(),
                        line: entry.line,
                    },
                });
            }
        }
        Ok(settings)
    }

    /// What the environment says to the settings of `declared`.
    pub fn of(declared: Command, environment: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut found = Vec::new();
        for argument in declared.get_arguments() {
            if let Some(variable) = names::variable(argument)
                && let Some(value) = environment(&variable)
            {
                found.push(Found {
                    id: argument.get_id().clone(),
                    variable,
                    value: value.into(),
                    origin: Whence::Environment,
                });
            }
        }
        Self { declared, found }
    }

    /// As the settings are declared.
    pub fn declared(&self) -> &Command {
        &self.declared
    }

    /// Whether there is a setting of that variable.
    pub fn has(&self, variable: &str) -> bool {
        let mut variables = self.declared.get_arguments().filter_map(names::variable);
        variables.any(|known| known == variable)
    }

    /// Takes out what was found for these variables, and says what of it there was and where.
    pub fn without(&mut self, variables: &[&str]) -> Vec<(String, Whence)> {
        let mut out = Vec::new();
        self.found.retain(|found| {
            let stays = !variables.contains(&found.variable.as_str());
            if !stays {
                out.push((found.variable.clone(), found.origin.clone()));
            }
            stays
        });
        out
    }

    /// What was found, as variables: for a child that is told everything by its environment.
    pub fn as_environment(&self) -> impl Iterator<Item = (&str, &OsString)> {
        let found = self.found.iter();
        found.map(|found| (found.variable.as_str(), found.value.expose()))
    }

    /// The value of a variable, and where it was found.
    pub fn value(&self, variable: &str) -> Option<&OsString> {
        self.as_environment()
            .find_map(|(name, value)| (name == variable).then_some(value))
    }

    /// `command`, which has these settings as flags, with what was found as defaults: clap ranks
    /// them below flags, and checks them like any other value.
    pub fn as_defaults_of(&self, command: Command) -> Command {
        let ids = self.declared.get_arguments().map(Arg::get_id);
        let mut command = ids.fold(command, |command, id| {
            // clap would take an empty variable for a value.
            command.mut_arg(id, |arg| arg.env(None::<&str>))
        });
        for found in &self.found {
            let value = found.value.expose().clone();
            command = command.mut_arg(&found.id, |arg| arg.default_value(value).required(false));
        }
        command
    }

    /// Reads the settings, where there are no flags.
    ///
    /// # Errors
    /// Which setting is wrong, as a sentence.
    pub fn parse<C: FromArgMatches>(&self) -> anyhow::Result<C> {
        self.refuse_both(None)?;
        let refused = |error: clap::Error| self.refusal(&error, &[]);
        let command = self.as_defaults_of(self.declared.clone());
        let matches = command.try_get_matches_from([""; 0]).map_err(refused)?;
        C::from_arg_matches(&matches).map_err(refused)
    }

    /// A refused setting in words; `arguments` is the command line.
    pub fn refusal(&self, error: &clap::Error, arguments: &[OsString]) -> anyhow::Error {
        explain(&self.declared, error, |argument| {
            if is_flag_given(argument, arguments) {
                Whence::CommandLine
            } else {
                self.value_of(argument, None).1
            }
        })
    }

    /// Refuses a secret that stands in two places; `matches` are the flags of the command line, if
    /// there are any.
    ///
    /// # Errors
    /// Which one, and where both come from.
    pub fn refuse_both(&self, matches: Option<&ArgMatches>) -> Result<(), RefusedSetting> {
        by_file::refuse_both(&self.declared, |one| self.value_of(one, matches).1)
    }

    /// Every setting as it holds; `matches` are the flags of the command line, if there are any.
    pub fn held(&self, matches: Option<&ArgMatches>) -> Vec<Held> {
        let mut all = Vec::new();
        for argument in self.declared.get_arguments() {
            if let Some(variable) = names::variable(argument) {
                let (value, origin) = self.shown(argument, matches);
                all.push(Held {
                    variable,
                    value,
                    origin,
                });
            }
        }
        all
    }

    /// What `value_of` says, without a secret.
    fn shown(&self, argument: &Arg, matches: Option<&ArgMatches>) -> (Option<String>, Whence) {
        if let Some(by_file) = by_file::of(&self.declared, argument)
            && let (Some(file), origin) = self.value_of(by_file, matches)
        {
            return (Some(format!("set (file {file})")), origin);
        }
        let (value, origin) = self.value_of(argument, matches);
        let hidden = |value: String| match is_secret(argument) && holds_more(&value) {
            true => "set".to_owned(),
            false => value,
        };
        (value.map(hidden), origin)
    }

    fn value_of(&self, argument: &Arg, matches: Option<&ArgMatches>) -> (Option<String>, Whence) {
        let id = argument.get_id().as_str();
        let flags =
            matches.filter(|matches| matches.value_source(id) == Some(ValueSource::CommandLine));
        if let Some(raw) = flags.and_then(|matches| matches.get_raw(id)) {
            let parts: Vec<_> = raw.map(|part| part.to_string_lossy()).collect();
            return (Some(parts.join(",")), Whence::CommandLine);
        }
        if let Some(found) = self
            .found
            .iter()
            .find(|found| found.id == *argument.get_id())
        {
            let value = found.value.expose().to_string_lossy().into_owned();
            return (Some(value), found.origin.clone());
        }
        let default = names::default(argument);
        (default, Whence::Default)
    }
}

/// Whether an accepted URL says more than where something is: a user with a password, or parameters
/// that may be one.
fn holds_more(url: &str) -> bool {
    url.contains(['@', '?'])
}
