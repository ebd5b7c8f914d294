//! Secrets that stand in a file: beside a setting `X` there may be `X_FILE`, which names a file with
//! its value. Only one of both may be set.

use clap::{Arg, Command};

use super::{RefusedSetting, Whence, names};

const SUFFIX: &str = "_FILE";

/// The setting that names the file with `argument`'s value, if there is one.
pub(super) fn of<'a>(declared: &'a Command, argument: &Arg) -> Option<&'a Arg> {
    let variable = names::variable(argument)? + SUFFIX;
    let mut arguments = declared.get_arguments();
    arguments.find(|one| names::variable(one).as_deref() == Some(&variable))
}

/// Refuses a secret that stands in two places; `whence` says where a setting comes from.
pub(super) fn refuse_both(
    declared: &Command,
    whence: impl Fn(&Arg) -> Whence,
) -> Result<(), RefusedSetting> {
    for argument in declared.get_arguments() {
        let Some(file) = of(declared, argument) else {
            continue;
        };
        let both = [argument, file].map(|one| (names::variable(one), whence(one)));
        let [(Some(itself), from), (Some(by_file), file_from)] = both else {
            continue;
        };
        if from != Whence::Default && file_from != Whence::Default {
            return Err(RefusedSetting(format!(
                "{itself} (from {from}) and {by_file} (from {file_from}) are both set: keep one of them."
            )));
        }
    }
    Ok(())
}
