//! Names of types: no two of one crate share one, unless docs/glossary.md lists them with a reason.

use std::collections::BTreeMap;

use super::imports;

/// What SeaORM asks each table and each step of a migration for.
const ASKED_FOR: [&str; 6] = [
    "ActiveModel",
    "Column",
    "Entity",
    "Migration",
    "Model",
    "Relation",
];

/// A row of the glossary's table: this name may stand in these files, or in those of these folders.
struct Shared<'s> {
    name: &'s str,
    places: [&'s str; 2],
}

/// `sources` are paths from the root with their text.
pub(crate) fn complaints(sources: &[(String, String)], glossary: &str) -> Vec<String> {
    let table = table(glossary);
    let mut by_name: BTreeMap<(&str, &str), Vec<(&str, usize)>> = BTreeMap::new();
    for (file, source) in sources {
        let crate_name = file.split("/src/").next().unwrap_or(file);
        for (name, line) in definitions(source) {
            by_name
                .entry((crate_name, name))
                .or_default()
                .push((file, line));
        }
    }
    by_name.retain(|_, places| places.len() > 1);
    let mut complaints = Vec::new();
    for ((_, name), places) in &by_name {
        for (file, line) in places {
            if !table
                .iter()
                .any(|row| row.name == *name && row.covers(file))
            {
                complaints.push(format!(
                    "{file}:{line}: another type of this crate is called `{name}`, too\n    \
                     Say in the name what each of them is. If that makes both worse, docs/glossary.md has a table \
                     for the reason."
                ));
            }
        }
    }
    let idle = table
        .iter()
        .filter(|row| !by_name.keys().any(|(_, name)| *name == row.name));
    complaints.extend(idle.map(|row| {
        let name = row.name;
        format!("docs/glossary.md: lists `{name}`, which no two types of one crate share\n    Drop the row.")
    }));
    complaints
}

impl Shared<'_> {
    fn covers(&self, file: &str) -> bool {
        let mut places = self.places.iter();
        places.any(|place| {
            let rest = file.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The rows `| name | where | where | reason |` below the table's heading.
fn table(glossary: &str) -> Vec<Shared<'_>> {
    let heading = "## Names that two types share\n";
    let (_, section) = glossary
        .split_once(heading)
        .expect("the glossary has the table's heading");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row
            .split('|')
            .skip(1)
            .map(|cell| cell.trim().trim_matches('`'));
        let mut cell = || cells.next().unwrap_or_default();
        Shared {
            name: cell(),
            places: [cell(), cell()],
        }
    })
    .collect()
}

/// Every type that a file defines, with its line; associated types are none, and indented.
fn definitions(source: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let tokens = imports::tokens(source);
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        let ((line, keyword), (_, name)) = (pair[0], pair[1]);
        let defines = match keyword {
            "struct" | "enum" | "union" | "trait" => true,
            "type" => !lines[line - 1].starts_with(' '),
            _ => false,
        };
        if defines && imports::is_name(name) && !ASKED_FOR.contains(&name) {
            found.push((name, line));
        }
    }
    found
}
