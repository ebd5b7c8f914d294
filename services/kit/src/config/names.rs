//! Names of settings: variables, keys of the file, and which one a misspelt one was to be.

use clap::Arg;

const PREFIX: &str = "USHER_";

/// A slip is one letter in four at most: `mail_url` is not a slip for `nats_url`.
const ALIKE: f64 = 0.75;

/// The setting's variable.
pub(super) fn variable(argument: &Arg) -> Option<String> {
    argument
        .get_env()
        .map(|variable| variable.to_string_lossy().into_owned())
}

/// The setting's key in the file: its variable in lower case, without `USHER_`.
pub(super) fn key(argument: &Arg) -> Option<String> {
    let variable = variable(argument)?;
    Some(
        variable
            .strip_prefix(PREFIX)
            .unwrap_or(&variable)
            .to_lowercase(),
    )
}

/// What holds where nobody set it.
pub(super) fn default(argument: &Arg) -> Option<String> {
    let values = argument.get_default_values();
    let texts: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
    Some(texts.join(",")).filter(|default| !default.is_empty())
}

/// A name as it may be quoted: whoever leaves out a quote or a sign makes a name of a password.
pub(super) fn quoted(name: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match name.len() <= 40 && name.chars().all(is_name) {
        true => format!("`{name}`"),
        false => "a key that is no name of a setting".to_owned(),
    }
}

/// The one of `names` that `name` was to be, if it is like one.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    let mut best = None;
    for candidate in names {
        let likeness = strsim::normalized_damerau_levenshtein(&name, &candidate.to_lowercase());
        if likeness >= best.map_or(ALIKE, |(likeness, _)| likeness) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Variables of `environment` that are like one of `known` and none of them, each with the one that
/// it was to be. Variables that are like none are somebody else's.
pub fn slips<'a>(
    environment: impl IntoIterator<Item = String>,
    known: &[&'a str],
) -> Vec<(String, &'a str)> {
    let mut slips = Vec::new();
    for name in environment {
        let upper = name.to_uppercase();
        let Some(bare) = upper.strip_prefix(PREFIX) else {
            continue;
        };
        if known.contains(&name.as_str()) || is_of_kubernetes(bare) {
            continue;
        }
        let bare_known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
        if let Some(meant) = nearest(bare, bare_known) {
            let whole = known
                .iter()
                .find(|known| known.strip_prefix(PREFIX) == Some(meant));
            slips.extend(whole.map(|whole| (name.clone(), *whole)));
        }
    }
    slips.sort_unstable();
    slips
}

/// Kubernetes tells each pod of each service in such variables: of one named `usher-accounts`,
/// `USHER_ACCOUNTS_PORT` and more.
fn is_of_kubernetes(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || name.ends_with("_PORT")
}

#[cfg(test)]
mod tests {
    use super::{nearest, slips};

    #[test]
    fn the_nearest_name_is_found_and_none_where_none_is_near() {
        let names = ["mail_url", "mail_from", "nats_url", "listen"];
        assert_eq!(nearest("mail_ulr", names), Some("mail_url"));
        assert_eq!(nearest("MAIL-URL", names), Some("mail_url"));
        assert_eq!(nearest("listne", names), Some("listen"));
        assert_eq!(nearest("ack_url", names), None);
    }

    #[test]
    fn only_slips_are_named() {
        let known = [
            "USHER_MAIL_URL",
            "USHER_NATS_URL",
            "USHER_ACCOUNTS_URL",
            "RUST_LOG",
        ];
        let of = |name: &str| slips([name.to_owned()], &known);
        assert_eq!(
            of("USHER_MAILL_URL"),
            [("USHER_MAILL_URL".to_owned(), "USHER_MAIL_URL")]
        );
        for right in [
            "USHER_MAIL_URL",
            "USHER_ACCOUNTS_PORT",
            "MAIL_URL",
            "USHER_SEAT",
        ] {
            assert_eq!(of(right), [], "{right}");
        }
    }
}
