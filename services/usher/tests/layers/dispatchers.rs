//! Whether the command knows of dispatchers only that there are some: what commands, domain and
//! store of accounts name of `dispatch` is the abstraction, so that the same lines are compiled
//! against each kind; `main` runs it over the workspace.

use crate::imports;

/// What whoever is served by a dispatcher may name of it.
const ABSTRACTION: [&str; 5] = [
    "Created",
    "EventDispatcher",
    "MailOutcome",
    "Pending",
    "Place",
];

/// Who does not change between kinds.
const UNCHANGED: [&str; 3] = ["commands", "domain", "store"];

const SOURCES: &str = "services/accounts/src/";

/// The types that are an `EventDispatcher`, each with the file that makes it one.
pub(crate) fn kinds(sources: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut kinds = Vec::new();
    for (file, source) in sources.iter().filter(|(file, _)| file.starts_with(SOURCES)) {
        let made = source.lines().filter_map(|line| {
            let kind = line.trim().strip_prefix("impl EventDispatcher for ")?;
            kind.split([' ', '<', '{']).next()
        });
        kinds.extend(made.map(|kind| (kind, file.as_str())));
    }
    kinds
}

/// What of the unchanged depends on a kind, by name or by what is compiled.
pub(crate) fn complaints(sources: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, source) in sources {
        let Some(inside) = file.strip_prefix(SOURCES) else {
            continue;
        };
        let module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        if !UNCHANGED.contains(&module[0]) {
            continue;
        }
        for import in imports::of(source, &module) {
            let Some(named) = import.path.strip_prefix("crate::dispatch::") else {
                continue;
            };
            if !ABSTRACTION.contains(&named) {
                complaints.push(format!(
                    "{file}:{}: names `{named}` of `dispatch`\n    Only {} are for it: which kind there is says the \
                     configuration, and `app` hands it in.",
                    import.line,
                    ABSTRACTION.join(", ")
                ));
            }
        }
        for (place, line) in source.lines().enumerate() {
            if line.contains("cfg(feature") || line.contains("cfg!(") {
                complaints.push(format!(
                    "{file}:{}: is compiled in several ways\n    The same lines serve every dispatcher.",
                    place + 1
                ));
            }
        }
    }
    complaints
}
