//! Answers in the two shapes of `--output`: a table for people, JSON for programs. Commands hand
//! over rows or a value; nothing else decides between the two.

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::terminal::{self, DIM, Progress};

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns, colours on a terminal.
    Table,
    /// For programs: one JSON document on standard output; errors as JSON on standard error.
    Json,
}

impl Format {
    /// Prints `value` as JSON, or what `table` makes of it.
    pub(crate) fn print<T: Serialize>(self, value: &T, table: impl FnOnce(&T) -> String) {
        match self {
            Self::Table => terminal::say(table(value).trim_end()),
            Self::Json => terminal::say(json(value)),
        }
    }

    /// Says something beside the answer: to people on standard output, beside JSON on standard
    /// error.
    pub(crate) fn narrate(self, text: impl AsRef<str>) {
        match self {
            Self::Table => terminal::say(text),
            Self::Json => terminal::tell(text),
        }
    }

    /// Where progress is shown: as `narrate` speaks.
    pub(crate) const fn progress(self) -> Progress {
        match self {
            Self::Table => Progress::Spoken,
            Self::Json => Progress::Aside,
        }
    }

    /// Prints `value` as one line of a stream of versions: JSON Lines, or what `line` makes of it.
    pub(crate) fn print_version<T: Serialize>(self, value: &T, line: impl FnOnce(&T) -> String) {
        match self {
            Self::Table => terminal::say(line(value)),
            Self::Json => terminal::say(serde_json::to_string(value).unwrap_or_default()),
        }
    }
}

/// Indented JSON. Our values have string keys only, so that this cannot fail.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A table under a heading, without lines, as wide as the terminal.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .enforce_styling()
        .style_text_only();
    if let Some(width) = terminal::columns() {
        // Where a program reads, a cell stays on its line.
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table.set_header(heading.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(&table.to_string())
}

/// `label  value` lines, the labels aligned; none where there is no value.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let widths = facts.iter().map(|(label, _)| label.len());
    let widest = widths.max().unwrap_or(0);
    let mut lines = String::new();
    for (label, value) in facts {
        if !value.is_empty() {
            lines.push_str(&format!("{DIM}{label:<widest$}{DIM:#}  {value}\n"));
        }
    }
    lines
}

fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
