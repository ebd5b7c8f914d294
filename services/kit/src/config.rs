//! Configuration: a struct of clap arguments is the one place where a setting's name, default,
//! check and help stand. Values come from the command line, else the environment, else a TOML file,
//! else the default; `find` looks for them, `file` reads the TOML, `refusal` says what is wrong with
//! one. `reference` and `example` are the papers made from the same arguments.

mod by_file;
mod environment;
mod example;
mod file;
mod find;
mod held;
mod names;
mod reference;
mod refusal;
mod url;
mod value;

use std::ffi::OsString;

use anyhow::bail;
use clap::{Args, FromArgMatches};

pub use environment::{FILE_VARIABLE, environment};
pub use example::example;
pub use file::SettingsFile;
pub use find::Settings;
pub use held::{Held, Whence};
pub use names::{nearest, slips};
pub use reference::reference;
pub use refusal::{RefusedSetting, hide_secrets, is_about_a_setting};
pub use url::{decoded, named_host, refused_url, service_url};
pub use value::{Switch, at_least_one, duration, lease};

/// Reads service `name`'s configuration from the environment and, if `USHER_CONFIG` names one, a
/// TOML file. In the file, a key is the variable's name in lower case without `USHER_`; the table
/// `[name]` wins over the top level.
///
/// # Errors
/// One sentence that names the setting, where its value came from and what was expected. Secret
/// values are not shown.
pub fn from_env<C: Args + FromArgMatches>(name: &'static str) -> anyhow::Result<C> {
    let file = SettingsFile::named()?;
    Settings::find::<C>(name, environment, file.as_ref())?.parse()
}

/// The same from given settings instead of the environment: `("USHER_LISTEN", "127.0.0.1:0")`.
///
/// # Errors
/// As `from_env`.
pub fn from_pairs<C: Args + FromArgMatches>(pairs: &[(&str, &str)]) -> anyhow::Result<C> {
    let given = |variable: &str| {
        let pair = pairs.iter().find(|(key, _)| *key == variable)?;
        Some(OsString::from(pair.1)).filter(|value| !value.is_empty())
    };
    let settings = Settings::find::<C>("this service", given, None)?;
    match pairs.iter().find(|(key, _)| !settings.has(key)) {
        Some((key, _)) => bail!("{key} is no setting of this service."),
        None => settings.parse(),
    }
}
