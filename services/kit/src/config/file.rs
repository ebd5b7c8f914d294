//! The TOML file: one for all services. At its top level each service takes what it knows, and the
//! table of its name wins over that. Nothing of it is ever quoted but names: a value, or what was
//! to be one, may be a secret.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Command;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    environment::{FILE_VARIABLE, environment},
    names::{self, nearest, quoted},
};
use crate::Private;

/// Tables that there may be.
const TABLES: [&str; 3] = ["accounts", "verification", "mailer"];

/// Settings of those services that speak to the broker: at the top level the others pass them over.
const OF_SOME: [&str; 4] = ["nats_url", "nats_credentials", "outbox_lease", "ack_wait"];

/// A file that was read; its tables have names that there are.
#[derive(Debug, Clone)]
pub struct SettingsFile {
    path: PathBuf,
    top: Vec<Entry>,
    tables: BTreeMap<String, Vec<Entry>>,
    /// Which services have a key, where that is known.
    owners: BTreeMap<String, Vec<&'static str>>,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Counted from one.
    pub(super) line: usize,
    /// As a flag or a variable would say it.
    pub(super) value: Private<OsString>,
}

impl SettingsFile {
    /// The file that `USHER_CONFIG` names, if it names one.
    ///
    /// # Errors
    /// As `read`.
    pub fn named() -> anyhow::Result<Option<Self>> {
        environment(FILE_VARIABLE)
            .map(|path| Self::read(Path::new(&path)))
            .transpose()
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a table that no service has.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .with_context(|| format!("{FILE_VARIABLE} names {shown}, which cannot be read."))?;
        // The error's own text quotes the line, in which a password may stand.
        let parsed = DeTable::parse(&text).map_err(|error| {
            let line = line(&text, error.span().map_or(0, |span| span.start));
            anyhow::anyhow!(
                "{shown}, line {line}: this is no TOML: {}.",
                error.message()
            )
        })?;
        let mut file = Self {
            path: path.to_owned(),
            top: Vec::new(),
            tables: BTreeMap::new(),
            owners: BTreeMap::new(),
        };
        for (name, value) in parsed.get_ref() {
            let line = line(&text, name.span().start);
            let name = name.get_ref().as_ref();
            match (value.get_ref(), TABLES.contains(&name)) {
                (DeValue::Table(table), true) => {
                    let entries = file.entries(&text, table.iter())?;
                    file.tables.insert(name.to_owned(), entries);
                }
                (DeValue::Table(_), false) => bail!("{}", file.unknown_table(line, name)),
                (_, true) => {
                    bail!("{shown}, line {line}: `{name}` must be a table, written as [{name}].")
                }
                (_, false) => {}
            }
        }
        let top = parsed.get_ref().iter();
        file.top = file.entries(&text, top.filter(|(_, value)| !value.get_ref().is_table()))?;
        Ok(file)
    }

    /// The same, knowing whose setting each key is: so a key in the wrong place is told where it
    /// belongs.
    #[must_use]
    pub fn knowing(mut self, services: &[(&'static str, Command)]) -> Self {
        for (service, command) in services {
            for key in command.get_arguments().filter_map(names::key) {
                self.owners.entry(key).or_default().push(service);
            }
        }
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says to service `name`, whose settings are `command`'s; the later of two of
    /// the same key wins.
    ///
    /// # Errors
    /// When a key is no setting of it.
    pub(super) fn of(&self, name: &str, command: &Command) -> anyhow::Result<Vec<&Entry>> {
        let mut known = Vec::new();
        known.extend(command.get_arguments().filter_map(names::key));
        let is_known = |entry: &Entry| known.contains(&entry.key);
        let mut entries = Vec::new();
        for entry in &self.top {
            if is_known(entry) {
                entries.push(entry);
            } else if !self.is_of_several(&entry.key) {
                bail!("{}", self.unknown(entry, name, &known));
            }
        }
        // In its own table each name must be right.
        for entry in self.tables.get(name).into_iter().flatten() {
            if !is_known(entry) {
                bail!("{}", self.unknown(entry, name, &known));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// One file may serve all services: at the top level each takes its own and passes over what
    /// others share.
    fn is_of_several(&self, key: &str) -> bool {
        let owners = self.owners.get(key).map_or(0, Vec::len);
        OF_SOME.contains(&key) || owners > 1
    }

    fn unknown(&self, entry: &Entry, name: &str, known: &[String]) -> String {
        let (path, line, key) = (self.path.display(), entry.line, quoted(&entry.key));
        let told = format!("{path}, line {line}: {key} is no setting of {name}");
        let others = self.owners.get(&entry.key).into_iter().flatten();
        let tables: Vec<String> = others.map(|owner| format!("[{owner}]")).collect();
        let near = nearest(&entry.key, known.iter().map(String::as_str));
        match (&tables[..], near) {
            ([], Some(near)) => format!("{told}; did you mean `{near}`?"),
            ([], None) => format!("{told}; docs/settings.md lists all of them."),
            (tables, _) => format!("{told}; move it into {}.", tables.join(" or ")),
        }
    }

    fn unknown_table(&self, line: usize, name: &str) -> String {
        let path = self.path.display();
        let told = match quoted(name) {
            name if name.starts_with('`') => {
                format!("there is no table [{}]", name.trim_matches('`'))
            }
            _ => "there is no such table".to_owned(),
        };
        let advice = match nearest(name, TABLES) {
            Some(near) => format!("did you mean [{near}]?"),
            None => "there are [accounts], [verification] and [mailer].".to_owned(),
        };
        format!("{path}, line {line}: {told}; {advice}")
    }

    fn entries<'t>(
        &self,
        text: &str,
        table: impl Iterator<Item = (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)>,
    ) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let line = line(text, key.span().start);
            let key = key.get_ref().to_string();
            let Some(value) = in_words(value) else {
                bail!(
                    "{}, line {line}: {} must be a text in quotes, a number, or a list of texts.",
                    self.path.display(),
                    quoted(&key)
                );
            };
            entries.push(Entry {
                key,
                line,
                value: Private::new(value.into()),
            });
        }
        Ok(entries)
    }
}

/// The line in which the octet at `place` stands.
fn line(text: &str, place: usize) -> usize {
    let before = text.get(..place).unwrap_or_default();
    before.split('\n').count()
}

/// As a flag or a variable would say it; a list is separated by commas there.
fn in_words(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(list) => {
            let mut texts = Vec::new();
            for one in list {
                texts.push(one.get_ref().as_str()?);
            }
            Some(texts.join(","))
        }
        DeValue::Table(_) => None,
    }
}
