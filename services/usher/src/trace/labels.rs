//! What stands in a waterfall's columns: names without what every reader knows, durations of three
//! digits, text cut and filled to fit.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

/// The name without what every reader knows: `usher.accounts.v1.AccountsService/CreateAccount`
/// becomes `CreateAccount`, `publish accounts.v1.account_created` becomes `publish
/// account_created`.
pub(super) fn short_name(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().map(short_word).collect();
    words.join(" ")
}

fn short_word(word: &str) -> &str {
    let method = word.rsplit_once('/').map_or(word, |(_, method)| method);
    method.split_once(".v1.").map_or(method, |(_, fact)| fact)
}

/// Cut to `width` columns, with an ellipsis where something is missing.
pub(super) fn clip(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut clipped = String::new();
    for character in text.chars() {
        if clipped.width() + character.to_string().width() >= width {
            break;
        }
        clipped.push(character);
    }
    clipped.push('…');
    clipped
}

/// Filled to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Three digits at most and a unit: `870 µs`, `4.1 ms`, `132 ms`, `2.4 s`, `3.0 min`.
pub(crate) fn short(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        m if m < 999.5 => format!("{m:.0} µs"),
        m if m < 9_950.0 => format!("{:.1} ms", m / 1e3),
        m if m < 999_500.0 => format!("{:.0} ms", m / 1e3),
        m if m < 99_950_000.0 => format!("{:.1} s", m / 1e6),
        m => format!("{:.1} min", m / 6e7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_at_most() {
        let spoken: Vec<String> = [0, 999, 1_000, 9_949, 131_700, 2_449_000, 180_000_000]
            .map(|micros| short(Duration::from_micros(micros)))
            .to_vec();
        assert_eq!(
            spoken,
            [
                "0 µs", "999 µs", "1.0 ms", "9.9 ms", "132 ms", "2.4 s", "3.0 min"
            ]
        );
    }
}
