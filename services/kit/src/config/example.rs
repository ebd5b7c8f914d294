//! The example of a configuration file, docs/usher.example.toml, made from the same arguments that
//! read the settings.

use clap::{Arg, Args, Command};

use super::names;

const WIDTH: usize = 96;

/// The table of service `name` with every setting of `C`, each at its default and commented out.
pub fn example<C: Args>(name: &str) -> String {
    let command = C::augment_args(Command::new("usher"));
    let mut text = format!("[{name}]\n");
    for argument in command.get_arguments() {
        let (Some(key), Some(variable)) = (names::key(argument), names::variable(argument)) else {
            continue;
        };
        text.push_str(&comment(&format!("{variable}: {}", meaning(argument))));
        let value = match names::default(argument) {
            Some(default) => in_toml(default),
            // An empty text is unset.
            None => "\"\"".to_owned(),
        };
        text.push_str(&format!("#{key} = {value}\n"));
    }
    text
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string);
    let mut meaning = help.unwrap_or_default().replace('\n', " ");
    let values = argument.get_possible_values();
    if !values.is_empty() {
        let names: Vec<&str> = values
            .iter()
            .map(clap::builder::PossibleValue::get_name)
            .collect();
        meaning.push_str(&format!(" ({})", names.join(" or ")));
    }
    meaning
}

fn in_toml(value: String) -> String {
    match value.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => toml::Value::String(value).to_string(),
    }
}

/// Lines of a comment, after an empty one.
fn comment(text: &str) -> String {
    let mut lines = String::from("\n#");
    let mut width = 1;
    for word in text.split(' ') {
        if width + 1 + word.chars().count() > WIDTH {
            lines.push_str("\n#");
            width = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        width += 1 + word.chars().count();
    }
    lines.push('\n');
    lines
}
