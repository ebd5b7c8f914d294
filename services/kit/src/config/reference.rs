//! The configuration reference in docs/settings.md, made from the same arguments that read the
//! settings.

use clap::{Args, Command};

use super::names;

/// A Markdown table of every setting of `C`: variable, default, meaning.
pub fn reference<C: Args>() -> String {
    let command = C::augment_args(Command::new("usher"));
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for argument in command.get_arguments() {
        let Some(variable) = names::variable(argument) else {
            continue;
        };
        let default = match names::default(argument) {
            None => "–".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let meaning = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let meaning = meaning.replace('|', "\\|");
        table.push_str(&format!("| `{variable}` | {default} | {meaning} |\n"));
    }
    table
}
