//! A refused setting in words. clap speaks of flags where an operator set a variable or a line in a
//! file, and shows the value even where it is a secret.

use std::{error::Error as _, ffi::OsString};

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Whence, names};

/// A setting that cannot be used, found out as the service was made of it: it would be refused again
/// at every start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RefusedSetting(pub String);

const HIDDEN: &str = "a value that is not shown here";

/// What is wrong with a setting of `command`, without secrets; `origin` tells where its value came
/// from.
pub(super) fn explain(
    command: &Command,
    error: &Error,
    origin: impl Fn(&Arg) -> Whence,
) -> anyhow::Error {
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let argument = argument(command, error);
    let name = argument.and_then(names::variable).unwrap_or(flag);
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return anyhow::anyhow!(
            "{name} is missing: set it in the environment or in the file that USHER_CONFIG names."
        );
    }
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    // What may not be shown in the help is not quoted in a refusal, which ends up in a log.
    let shown = if value.is_empty() {
        "empty".to_owned()
    } else if argument.is_some_and(is_secret) || may_hold_a_secret(&value) {
        HIDDEN.to_owned()
    } else {
        format!("`{value}`")
    };
    // Where to look, because whoever sets it in a file does not see that the environment wins.
    let from = argument.map(|argument| format!(" (from {})", origin(argument)));
    let valid = || text(error, ContextKind::ValidValue).filter(|all| !all.is_empty());
    let expected = error
        .source()
        .map(ToString::to_string)
        .or_else(|| valid().map(|all| format!("expected one of {all}")));
    anyhow::anyhow!(
        "{name}{} is {shown}: {}",
        from.unwrap_or_default(),
        expected.unwrap_or_else(|| "not valid".to_owned())
    )
}

/// Whether the error is about a value of a setting of `command`: for `Settings::refusal`.
pub fn is_about_a_setting(command: &Command, error: &Error) -> bool {
    let of_a_value = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
    of_a_value.contains(&error.kind()) && argument(command, error).is_some()
}

/// The setting of `command` that was refused; none where the error is about something else.
fn argument<'a>(command: &'a Command, error: &Error) -> Option<&'a Arg> {
    let flag = text(error, ContextKind::InvalidArg)?;
    let long = flag.trim_start_matches("--").split([' ', '=']).next()?;
    let mut arguments = command.get_arguments();
    arguments.find(|argument| argument.get_long() == Some(long) && argument.get_env().is_some())
}

/// An error of the command line in clap's own words, without what may be a secret in the wrong
/// place.
pub fn hide_secrets(mut error: Error) -> Error {
    let kinds = [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
        ContextKind::TrailingArg,
    ];
    for kind in kinds {
        if text(&error, kind).is_some_and(|text| may_hold_a_secret(&text)) {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
            // It may say how to write the same otherwise.
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

/// Whether a value of that setting may be a secret.
pub(super) fn is_secret(argument: &Arg) -> bool {
    argument.is_hide_env_values_set()
}

/// Whether a value looks like a URL, or like what is left of one: also where none was expected, a
/// password may stand in it.
fn may_hold_a_secret(value: &str) -> bool {
    value.contains("//") || value.contains('@')
}

/// Whether the flag of `argument` stands among `arguments`.
pub(super) fn is_flag_given(argument: &Arg, arguments: &[OsString]) -> bool {
    let long = format!("--{}", argument.get_long().unwrap_or_default());
    arguments.iter().any(|one| {
        let one = one.to_string_lossy();
        let after = one.strip_prefix(&long);
        after.is_some_and(|after| after.is_empty() || after.starts_with('='))
    })
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    }
}
