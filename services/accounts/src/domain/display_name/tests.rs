//! The table of names, row by row.

use kit::testing::table;
use proptest::prelude::*;

use super::DisplayName;

const PAPER: &str = include_str!("../../../../../docs/names-and-codes.md");

#[test]
fn every_name_in_the_table_is_taken_or_refused_as_it_says() {
    let found = table(PAPER, "names");
    for [name, expected] in &found {
        let parsed = DisplayName::parse(name);
        let said = match &parsed {
            Ok(taken) if taken.as_str() == name => "taken".to_owned(),
            Ok(taken) => format!("taken as {}", taken.as_str()),
            Err(why) => format!("refused: {why}"),
        };
        assert!(said.starts_with(expected), "{name:?}: {said}");
    }
    assert!(found.len() > 60, "{} rows", found.len());
}

#[test]
fn the_length_counts_characters() {
    assert!(DisplayName::parse(&"é".repeat(64)).is_ok());
    let refused = DisplayName::parse(&"a".repeat(65)).unwrap_err();
    assert_eq!(refused.to_string(), "must have at most 64 characters");
}

proptest! {
    #[test]
    fn whatever_is_taken_is_one_short_line_that_is_taken_again(input in "\\PC{0,70}") {
        if let Ok(name) = DisplayName::parse(&input) {
            prop_assert!(name.as_str().chars().count() <= 64);
            prop_assert!(!name.as_str().chars().any(|c| c.is_control() || "@:/<>\"".contains(c)));
            prop_assert_eq!(DisplayName::parse(name.as_str()).unwrap(), name);
        }
    }
}
