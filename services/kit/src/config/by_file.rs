//! Secrets that stand in a file: beside a setting `X` there may be `X_FILE`, which names a file with
//! its value. Only one of both may be set.

use clap::{Arg, ArgMatches, Command};

use super::{RefusedSetting, Settings, Whence, names};

const SUFFIX: &str = "_FILE";

/// The setting that names the file with `argument`'s value, if there is one.
pub(super) fn of<'a>(declared: &'a Command, argument: &Arg) -> Option<&'a Arg> {
    let variable = names::variable(argument)? + SUFFIX;
    let mut arguments = declared.get_arguments();
    arguments.find(|one| names::variable(one).as_deref() == Some(&variable))
}

impl Settings {
    /// Refuses a secret that stands in two places; `matches` are the flags of the command line, if
    /// there are any.
    ///
    /// # Errors
    /// Which one, and where both come from.
    pub fn refuse_both(&self, matches: Option<&ArgMatches>) -> Result<(), RefusedSetting> {
        for argument in self.declared().get_arguments() {
            let Some(file) = of(self.declared(), argument) else {
                continue;
            };
            let [(itself, whence), (by_file, whence_file)] =
                [argument, file].map(|one| (names::variable(one), self.value_of(one, matches).1));
            if whence != Whence::Default && whence_file != Whence::Default {
                return Err(RefusedSetting(format!(
                    "{} (from {whence}) and {} (from {whence_file}) are both set: keep one of them.",
                    itself.unwrap_or_default(),
                    by_file.unwrap_or_default(),
                )));
            }
        }
        Ok(())
    }
}
