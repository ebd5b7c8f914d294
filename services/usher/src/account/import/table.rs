//! Lines of CSV under a heading, each read by itself: what has no end in one line spoils no other.

use csv::{ReaderBuilder, StringRecord};

use super::newcomer::Newcomer;

const COLUMNS: [&str; 7] = [
    "email",
    "display_name",
    "locale",
    "idempotency_key",
    // Of lines that were refused before.
    "line",
    "refused",
    "reason",
];

/// What stands in which column.
pub(super) struct Table {
    separator: u8,
    columns: Vec<String>,
}

impl Table {
    /// Reads the heading.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn under(heading: &str) -> Result<Self, String> {
        // Spreadsheets of half of Europe write semicolons.
        let separators = [b'\t', b';', b','];
        let separator = separators
            .into_iter()
            .find(|separator| heading.as_bytes().contains(separator));
        let separator = separator.unwrap_or(b',');
        let mut columns = Vec::new();
        for (column, number) in record(heading, separator)?.iter().zip(1..) {
            let column = column.trim().to_ascii_lowercase();
            if !COLUMNS.contains(&&*column) {
                let known = COLUMNS[..4].join(", ");
                // Not in its words: of a file without a heading they are somebody's.
                return Err(format!("its column {number} is none of {known}"));
            }
            if columns.contains(&column) {
                return Err(format!("{column} stands there twice"));
            }
            columns.push(column);
        }
        if !columns.iter().any(|column| column == "email") {
            return Err("it has no column email".to_owned());
        }
        Ok(Self { separator, columns })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// Why it is no person.
    pub(super) fn row(&self, line: &str) -> Result<Newcomer, String> {
        let record = record(line, self.separator)?;
        let (wanted, found) = (self.columns.len(), record.len());
        if wanted != found {
            return Err(format!("it has {found} columns, the heading {wanted}"));
        }
        let mut person = Newcomer::default();
        for (column, value) in self.columns.iter().zip(&record) {
            let field = match &**column {
                "email" => &mut person.email,
                "display_name" => &mut person.display_name,
                "locale" => &mut person.locale,
                "idempotency_key" => &mut person.idempotency_key,
                _ => continue,
            };
            value.clone_into(field);
        }
        Ok(person)
    }
}

fn record(line: &str, separator: u8) -> Result<StringRecord, String> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).delimiter(separator);
    let mut record = StringRecord::new();
    let read = builder
        .from_reader(line.as_bytes())
        .read_record(&mut record);
    read.map_err(|error| format!("no such CSV: {error}"))?;
    Ok(record)
}
