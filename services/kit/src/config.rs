//! Configuration: a struct of clap arguments is the one place where a setting's name, default,
//! check and help stand. Values come from the command line, else the environment, else a TOML file,
//! else the default.

mod reference;

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, Command, FromArgMatches, error::ContextKind, error::ContextValue};

pub use reference::reference;

/// Environment variable that names the TOML file.
pub const FILE_VARIABLE: &str = "USHER_CONFIG";

/// Settings of those services that speak to the broker: at the file's top level the others pass
/// them over.
const OF_SOME: [&str; 4] = ["nats_url", "nats_credentials", "outbox_lease", "ack_wait"];

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// Reads service `name`'s configuration from the environment and, if `USHER_CONFIG` names one, a
/// TOML file. In the file, a key is the variable's name in lower case without `USHER_`; the table
/// `[name]` wins over the top level.
///
/// # Errors
/// One sentence that names the key, where its value came from and what was expected. Secret values
/// are not shown.
pub fn from_env<C: Args + FromArgMatches>(name: &'static str) -> anyhow::Result<C> {
    // Without a name in front, as there are no arguments: values come as the defaults that a file
    // sets, or from the environment, which clap prefers to them.
    let command = C::augment_args(Command::new(name).no_binary_name(true));
    let command = with_file_defaults(command, name)?;
    parse(&command.clone(), command, Vec::new())
}

/// The arguments of `command`, with what the file that `USHER_CONFIG` names says of service `name`
/// as defaults: for a command that has a service's settings as flags. Flags and environment win
/// over the file.
///
/// # Errors
/// When the file cannot be read, or sets what is no setting of the service.
pub fn with_file_defaults(command: Command, name: &str) -> anyhow::Result<Command> {
    let file = std::env::var_os(FILE_VARIABLE);
    match file.as_deref().map(Path::new) {
        Some(path) => with_file(command, path, name),
        None => Ok(command),
    }
}

/// The same from given settings instead of the environment: `("USHER_LISTEN", "127.0.0.1:0")`.
///
/// # Errors
/// As `from_env`.
pub fn from_pairs<C: Args + FromArgMatches>(pairs: &[(&str, &str)]) -> anyhow::Result<C> {
    let command = C::augment_args(Command::new("usher").no_binary_name(true));
    let mut arguments = Vec::new();
    for (key, value) in pairs {
        let known = command
            .get_arguments()
            .find(|arg| arg.get_env().is_some_and(|env| env == *key));
        let Some(long) = known.and_then(|arg| arg.get_long()) else {
            bail!("{key} is no setting of this service.");
        };
        arguments.push(format!("--{long}={value}").into());
    }
    // The caller's settings and nobody else's.
    let deaf = command.clone().mut_args(|arg| arg.env(None::<&str>));
    parse(&command, deaf, arguments)
}

/// Reads a setting that is a time: `500ms`, `10s`, `24h`.
///
/// # Errors
/// What a time looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time such as 500ms, 10s or 24h".to_owned())
}

/// Reads a setting that is a number of things, of which there must be one.
///
/// # Errors
/// What such a number looks like.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number from 1".to_owned())
}

/// Reads a setting that is a lease: long enough to be renewed a few times before it ends.
///
/// # Errors
/// What a lease looks like.
pub fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    match lease >= SHORTEST_LEASE {
        true => Ok(lease),
        false => {
            Err("expected at least 100ms: a lease is renewed three times before it ends".to_owned())
        }
    }
}

/// Parses with `command`; refusals speak of the settings as `known` names them.
fn parse<C: FromArgMatches>(
    known: &Command,
    command: Command,
    arguments: Vec<OsString>,
) -> anyhow::Result<C> {
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(|error| explain(known, &error))?;
    C::from_arg_matches(&matches).map_err(|error| explain(known, &error))
}

/// A refused setting of `command` in words: clap speaks of flags where an operator set a variable
/// or a line in a file, and shows the value even where it is a secret.
pub fn explain(command: &Command, error: &clap::Error) -> anyhow::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg).unwrap_or_default();
    let long = flag
        .trim_start_matches("--")
        .split([' ', '='])
        .next()
        .unwrap_or_default();
    let argument = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(long));
    let variable = argument
        .and_then(|arg| arg.get_env())
        .map(|env| env.to_string_lossy().into_owned());
    let name = variable.clone().unwrap_or(flag);
    let Some(value) = text(ContextKind::InvalidValue).filter(|value| !value.is_empty()) else {
        return anyhow::anyhow!(
            "{name} is missing: set it in the environment or in the file that USHER_CONFIG names."
        );
    };
    // Where to look, because whoever sets it in a file does not see that the environment wins.
    let from = match variable.is_some_and(|variable| std::env::var_os(variable).is_some()) {
        true => "the environment",
        false => "the configuration file or the command line",
    };
    // What may not be shown in the help is not quoted in a refusal, which ends up in a log.
    let secret = argument.is_some_and(clap::Arg::is_hide_env_values_set);
    let shown = if secret {
        "a value that is not shown here".to_owned()
    } else {
        format!("`{value}`")
    };
    let expected = std::error::Error::source(error).map(ToString::to_string);
    let expected = expected
        .or_else(|| text(ContextKind::ValidValue).map(|all| format!("expected one of {all}")));
    anyhow::anyhow!(
        "{name} (from {from}) is {shown}: {}",
        expected.unwrap_or_else(|| "not valid".to_owned())
    )
}

fn read_table(command: &Command, name: &str, path: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "{FILE_VARIABLE} names {}, which cannot be read.",
            path.display()
        )
    })?;
    // The error's own text quotes the line, in which a password may stand.
    let mut file: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default()
            .split('\n')
            .count();
        anyhow::anyhow!(
            "{} is not valid TOML: line {line}: {}",
            path.display(),
            error.message()
        )
    })?;
    // One file may serve all services: at the top level each takes its own and passes over what
    // only the others know; a key that nobody knows stays, and is refused as a slip.
    let own = file.remove(name);
    file.retain(|key, _| setting(command, key).is_some() || !OF_SOME.contains(&key));
    file.retain(|_, value| !value.is_table()); // the other services' tables
    match own {
        Some(toml::Value::Table(own)) => file.extend(own),
        Some(_) => bail!(
            "{}: `{name}` must be a table, written as [{name}].",
            path.display()
        ),
        None => {}
    }
    Ok(file)
}

fn setting<'a>(command: &'a Command, key: &str) -> Option<&'a clap::Arg> {
    let variable = format!("USHER_{}", key.to_uppercase());
    command
        .get_arguments()
        .find(|arg| arg.get_env().is_some_and(|env| env == variable.as_str()))
}

/// The same from the file at `path`, whatever `USHER_CONFIG` says.
///
/// # Errors
/// As `with_file_defaults`.
pub fn with_file(mut command: Command, path: &Path, name: &str) -> anyhow::Result<Command> {
    for (key, value) in read_table(&command, name, path)? {
        let Some(id) = setting(&command, &key).map(|arg| arg.get_id().clone()) else {
            bail!(
                "{} sets `{key}`, which is no setting of {name}. Correct the name, or move what another service \
                 needs into that one's table, [SERVICE].",
                path.display()
            );
        };
        let text = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        // As a default: clap ranks it below the environment, and checks it like any other value.
        command = command.mut_arg(id, |arg| arg.default_value(text).required(false));
    }
    Ok(command)
}
