//! Answers in the shapes of `--output` and `--quiet`: a table for people, JSON for programs, bare
//! ids for scripts. Commands hand over rows or a value; nothing else decides between them.

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::terminal::{self, DIM, Progress};

/// `--output`, or `--quiet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns, colours on a terminal.
    Table,
    /// For programs: one JSON document on standard output; errors as JSON on standard error.
    Json,
    /// For scripts: what the next command needs, and nothing where it needs nothing.
    #[value(skip)]
    Quiet,
}

impl Format {
    /// Prints `value` as JSON, or what `table` makes of it.
    pub(crate) fn print<T: Serialize>(self, value: &T, table: impl FnOnce(&T) -> String) {
        self.print_named(value, [], table);
    }

    /// The same of what has ids, which are then all that `--quiet` shows: one a line.
    pub(crate) fn print_named<'a, T: Serialize>(
        self,
        value: &T,
        ids: impl IntoIterator<Item = &'a str>,
        table: impl FnOnce(&T) -> String,
    ) {
        match self {
            Self::Table => terminal::say(table(value).trim_end()),
            Self::Json => terminal::say(json(value)),
            Self::Quiet => ids.into_iter().for_each(terminal::say),
        }
    }

    /// Says something beside the answer: to people on standard output, beside JSON on standard
    /// error.
    pub(crate) fn narrate(self, text: impl AsRef<str>) {
        match self {
            Self::Table => terminal::say(text),
            Self::Json => terminal::tell(text),
            Self::Quiet => {}
        }
    }

    /// Says what somebody ought to look at, `--quiet` or not.
    pub(crate) fn warn(self, text: impl AsRef<str>) {
        match self {
            Self::Table => terminal::say(text),
            Self::Json | Self::Quiet => terminal::tell(text),
        }
    }

    /// Says beside a list that it is not all: on standard error, so that whoever reads the list
    /// reads nothing else.
    pub(crate) fn tell_more(self, limit: usize) {
        if self != Self::Quiet {
            terminal::tell(format!(
                "{DIM}There are more than these {limit}: --limit N shows N of them.{DIM:#}"
            ));
        }
    }

    /// Where progress is shown: as `narrate` speaks.
    pub(crate) const fn progress(self) -> Progress {
        match self {
            Self::Table => Progress::Spoken,
            Self::Json => Progress::Aside,
            Self::Quiet => Progress::Silent,
        }
    }

    /// Prints `value` as one line of a stream of versions: JSON Lines, or what `line` makes of it.
    pub(crate) fn print_version<T: Serialize>(self, value: &T, line: impl FnOnce(&T) -> String) {
        match self {
            Self::Table => terminal::say(line(value)),
            Self::Json => terminal::say(serde_json::to_string(value).unwrap_or_default()),
            Self::Quiet => {}
        }
    }
}

/// Most that a list command shows: it holds what it reads in memory.
const LONGEST_LIST: usize = 1_000_000;

/// Reads `--limit`.
///
/// # Errors
/// When a list of so many cannot be meant.
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    let fits = |number: &usize| (1..=LONGEST_LIST).contains(number);
    number
        .filter(fits)
        .ok_or_else(|| format!("expected a number from 1 to {LONGEST_LIST}"))
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
