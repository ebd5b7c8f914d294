//! Statements of a transaction that are sent with the next one, as one text. sqlx runs the statements
//! of a text one after the other on SQLite, each with the values that follow those of the one before;
//! one that fails ends it (`tests/service/tx.rs` tries both).

use sea_orm::{Statement, Values};

/// They wait as one statement.
#[derive(Debug, Default)]
pub(super) struct Later(Option<Statement>);

impl Later {
    pub(super) fn add(&mut self, statement: Statement) {
        self.0 = Some(match self.0.take() {
            Some(earlier) => Self::joined(earlier, statement),
            None => statement,
        });
    }

    pub(super) fn take(&mut self) -> Option<Statement> {
        self.0.take()
    }

    /// Whether this one can be sent along: values that a text counts itself, as `$1`, do not go
    /// together with those of another one.
    pub(super) fn takes(&self, statement: &Statement) -> bool {
        let counts = |statement: &Statement| statement.sql.contains('$');
        self.0.as_ref().is_none_or(|earlier| {
            let is_any_without = earlier.values.is_none() || statement.values.is_none();
            is_any_without || !(counts(earlier) || counts(statement))
        })
    }

    pub(super) fn joined(mut first: Statement, second: Statement) -> Statement {
        first.sql.push_str("; ");
        first.sql.push_str(&second.sql);
        let Values(values) = first.values.get_or_insert_with(|| Values(Vec::new()));
        values.extend(second.values.into_iter().flat_map(|Values(values)| values));
        first
    }
}
