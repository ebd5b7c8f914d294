//! The table of who may name what, and the judgement on one file; `main` runs it over the
//! workspace.

use super::imports;

/// A place inside a service: the modules that are it, and what they may name.
struct Place {
    name: &'static str,
    modules: &'static [&'static str],
    /// Other places of the same service that it may name.
    sees: &'static [&'static str],
    /// The only crates it may name, where that is said.
    only: Option<&'static [&'static str]>,
    /// Crates, or parts of them, that it may not name.
    never: &'static [&'static str],
    instead: &'static str,
}

/// Inside a service, from the inside out. A module that no row names (a client, a transport, a
/// store) is one of `mechanics`.
const PLACES: [Place; 6] = [
    Place {
        name: "domain",
        modules: &["domain"],
        sees: &[],
        only: Some(&[
            "std",
            "hex",
            "hmac",
            "icu_properties",
            "idna",
            "kit::Private",
            "kit::Violation",
            "kit::clock::Timestamp",
            "kit::keyring",
            "serde",
            "sha2",
            "subtle",
            "thiserror",
            "time::Duration",
            "uuid",
        ]),
        never: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::process",
            "std::thread",
            "Instant::now",
            "std::time::SystemTime",
        ],
        instead: "take the value as an argument: the domain knows no I/O, no async and no clock",
    },
    Place {
        name: "mechanics",
        modules: &["store", "dispatch"],
        sees: &["domain"],
        only: None,
        // A mechanism's settings may stand beside it, as `clap::Args`, but it is nobody's command
        // line.
        never: &["axum", "clap::Command", "clap::Parser", "clap::Subcommand"],
        instead: "return a value and let the command go on: mechanics are called by commands and never call back",
    },
    Place {
        name: "commands",
        modules: &["commands"],
        sees: &["domain", "mechanics"],
        only: None,
        never: &[
            "async_nats",
            "axum",
            "clap",
            "lettre",
            "prost",
            "prost_types",
            "proto",
            "tonic",
        ],
        instead: "speak in domain types: an edge decodes and encodes, `dispatch` builds the events' payloads",
    },
    Place {
        name: "edge",
        modules: &["admin", "consumer", "delivery", "grpc", "status"],
        sees: &["domain", "commands"],
        only: None,
        never: &["async_nats", "lettre", "sea_orm", "sea_orm_migration"],
        instead: "call a command: an edge decodes, calls one command and encodes",
    },
    Place {
        name: "migrations",
        modules: &["migrations"],
        sees: &[],
        only: Some(&["std", "async_trait", "kit", "sea_orm", "sea_orm_migration"]),
        never: &[],
        instead: "write the step out: a migration stays what it was when today's code has moved on",
    },
    Place {
        name: "composition",
        modules: &["app", "bench", "config", "lib", "main"],
        sees: &["domain", "mechanics", "commands", "edge", "migrations"],
        only: None,
        never: &[],
        instead: "",
    },
];

/// Between crates: who may not name whom.
const CRATES: [(&str, &[&str], &str); 8] = [
    (
        "proto",
        &[
            "accounts",
            "kit",
            "load_tests",
            "mailbox",
            "mailer",
            "usher",
            "verification",
        ],
        "proto holds contracts and stands alone",
    ),
    (
        "kit",
        &[
            "accounts",
            "load_tests",
            "mailbox",
            "mailer",
            "usher",
            "verification",
        ],
        "kit knows no service: pass in what differs",
    ),
    (
        "accounts",
        &["load_tests", "mailbox", "mailer", "usher", "verification"],
        "services talk by the contracts in proto",
    ),
    (
        "verification",
        &["accounts", "load_tests", "mailbox", "mailer", "usher"],
        "services talk by the contracts in proto",
    ),
    (
        "mailer",
        &["accounts", "load_tests", "mailbox", "usher", "verification"],
        "services talk by the contracts in proto",
    ),
    (
        "mailbox",
        &[
            "accounts",
            "load_tests",
            "mailer",
            "proto",
            "usher",
            "verification",
        ],
        "the mailbox is a mail server like any other: it knows SMTP and no service",
    ),
    (
        "usher",
        &["load_tests", "sea_orm"],
        "usher asks the services, over gRPC; only `migrate` opens databases, through them",
    ),
    (
        "load-tests",
        &["accounts", "mailer", "sea_orm", "verification"],
        "load tests see what callers and operators see: gRPC, by the contracts in proto",
    ),
];

/// What `source`, the content of `file` (`services/accounts/src/grpc.rs`), names against the rules.
pub(crate) fn complaints(file: &str, source: &str) -> Vec<String> {
    let Some((owner, inside)) = file.split_once("/src/") else {
        return Vec::new();
    };
    let owner = owner.rsplit('/').next().unwrap_or(owner);
    let module = inside
        .trim_end_matches(".rs")
        .split('/')
        .filter(|name| !["lib", "main", "mod"].contains(name));
    let module: Vec<&str> = module.collect();
    let place = place_of(module.first().unwrap_or(&"lib"));
    let is_service = ["accounts", "verification", "mailer"].contains(&owner);

    let imports = imports::of(source, &module);
    let mut complaints = Vec::new();
    for import in &imports {
        let broken = between_crates(owner, &import.path).or_else(|| {
            is_service
                .then(|| inside_a_service(place, &import.path))
                .flatten()
        });
        if let Some(rule) = broken.filter(|_| !is_local(&import.path, source, &imports)) {
            complaints.push(format!(
                "{file}:{}: names `{}`\n    {rule}",
                import.line, import.path
            ));
        }
    }
    complaints
}

fn between_crates(owner: &str, path: &str) -> Option<String> {
    let (_, never, why) = CRATES.iter().find(|rule| rule.0 == owner)?;
    never
        .iter()
        .find(|name| is_in(path, name))
        .map(|name| format!("`{owner}` may not name `{name}`: {why}."))
}

fn inside_a_service(place: &Place, path: &str) -> Option<String> {
    let Place { name, instead, .. } = place;
    if let Some(path) = path.strip_prefix("crate::") {
        let other = place_of(path.split("::").next().unwrap_or(path)).name;
        let seen = other == *name || place.sees.contains(&other);
        return (!seen).then(|| {
            format!(
                "This is `{name}`: of its service it sees {} only. Instead, {instead}.",
                list(name, place.sees)
            )
        });
    }
    if place.never.iter().any(|part| is_in(path, part)) {
        return Some(format!(
            "This is `{name}`: it never names {}. Instead, {instead}.",
            place.never.join(", ")
        ));
    }
    let only = place
        .only
        .filter(|only| is_crate(path) && !only.iter().any(|part| is_in(path, part)))?;
    Some(format!(
        "This is `{name}`: it names {} only. Instead, {instead}.",
        only.join(", ")
    ))
}

fn place_of(module: &str) -> &'static Place {
    PLACES
        .iter()
        .find(|place| place.modules.contains(&module))
        .unwrap_or(&PLACES[1])
}

fn list(own: &str, others: &[&str]) -> String {
    [&[own], others].concat().join(", ")
}

fn is_in(path: &str, part: &str) -> bool {
    path.strip_prefix(part)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A crate's name begins in lower case and is no primitive type.
fn is_crate(path: &str) -> bool {
    let first = path.split("::").next().unwrap_or(path);
    let primitive = [
        "bool", "char", "f64", "i16", "i32", "i64", "i8", "str", "u128", "u16", "u32", "u64", "u8",
        "usize",
    ];
    first.starts_with(|c: char| c.is_ascii_lowercase()) && !primitive.contains(&first)
}

/// Whether the path begins with a module that this file declares or has brought in by `use`, which
/// was judged where it stands.
fn is_local(path: &str, source: &str, imports: &[imports::Import]) -> bool {
    let first = path
        .split("::")
        .next()
        .filter(|_| is_crate(path))
        .unwrap_or_default();
    let brought = |import: &imports::Import| {
        let path = import.path.trim_end_matches("::self");
        path.rsplit_once("::")
            .is_some_and(|(parent, last)| last == first && !parent.is_empty())
    };
    source.contains(&format!("mod {first};")) || imports.iter().any(brought)
}
