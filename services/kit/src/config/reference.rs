//! The configuration reference in docs/settings.md, made from the same arguments that read the
//! settings.

use clap::{Args, Command};

/// A Markdown table of every setting of `C`: variable, default, meaning.
pub fn reference<C: Args>() -> String {
    let command = C::augment_args(Command::new("usher"));
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else {
            continue;
        };
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let default = match defaults.join(",") {
            none if none.is_empty() => "–".to_owned(),
            some => format!("`{some}`"),
        };
        let meaning = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let line = format!(
            "| `{}` | {default} | {} |\n",
            variable.to_string_lossy(),
            meaning.replace('|', "\\|")
        );
        table.push_str(&line);
    }
    table
}
