//! The layers of ARCHITECTURE.md as tests: they read the sources of the workspace, and the links of its papers, and say
//! file, line, rule and way out when one is broken. Last come the tests of the checker itself, on small bad files.

mod imports;
mod links;
mod names;
mod plan;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 6] = [
    "proto",
    "services/kit",
    "services/accounts",
    "services/verification",
    "services/mailer",
    "services/usher",
];

#[test]
fn every_file_names_only_what_its_layer_may() {
    report(
        sources(&["src"])
            .iter()
            .flat_map(|(file, source)| rules::complaints(file, source)),
    );
}

#[test]
fn no_service_depends_on_another_service() {
    let services = ["accounts", "verification", "mailer"];
    report(services.iter().flat_map(|service| {
        let file = format!("services/{service}/Cargo.toml");
        let manifest = read(&root().join(&file));
        let depends = move |other: &str| manifest.lines().any(|line| line.starts_with(&format!("{other}.workspace")));
        services.into_iter().filter(move |other| other != service && depends(other)).map(move |other| {
            format!("{file}: depends on `{other}`\n    Services talk by the contracts in proto. Tests of several services belong to services/usher.")
        })
    }));
}

#[test]
fn every_file_opens_with_its_role() {
    let nameless = sources(&["src", "tests"])
        .into_iter()
        .filter(|(_, source)| !source.starts_with("//! "));
    report(nameless.map(|(file, _)| {
        format!("{file}:1: opens without a `//!` sentence\n    Say its role, and where the data goes next.")
    }));
}

#[test]
fn no_file_has_outgrown_its_room() {
    let lengths = sources(&["src"])
        .into_iter()
        .map(|(file, source)| (file, source.lines().count()))
        .collect::<Vec<_>>();
    for (file, lines) in lengths.iter().filter(|(_, lines)| *lines > 250) {
        println!("look again: {file} has {lines} lines; is it still one noun or one verb?");
    }
    report(lengths.iter().filter(|(_, lines)| *lines > 350).map(|(file, lines)| {
        format!(
            "{file}: has {lines} lines\n    Split it, by thought: one noun or one verb per file."
        )
    }));
}

#[test]
fn every_service_is_built_by_the_one_plan() {
    let sources = sources(&["src"]);
    report(
        sources
            .iter()
            .flat_map(|(file, source)| plan::complaints(file, source)),
    );
}

#[test]
fn every_link_in_the_papers_leads_somewhere() {
    report(links::complaints(&root()).into_iter());
}

#[test]
fn the_checker_of_the_plan_sees_what_stands_in_the_wrong_place() {
    let bad = [
        ("services/mailer/src/ledger/claims.rs", ""),
        ("services/accounts/src/delivery.rs", ""),
        ("services/accounts/src/grpc/words.rs", ""),
        ("services/accounts/src/config/times.rs", ""),
        ("services/mailer/src/migrations/ledger.rs", ""),
        (
            "services/mailer/src/lib.rs",
            "pub mod app;\npub mod store;\nmod grpc;",
        ),
    ];
    for (file, source) in bad {
        assert_eq!(plan::complaints(file, source).len(), 1, "{file}");
    }
    let good = [
        ("services/mailer/src/admission/slots.rs", ""),
        ("services/mailer/src/migrations/m0001_ledger.rs", ""),
        (
            "services/verification/src/lib.rs",
            "pub mod app;\npub mod config;\nmod grpc;",
        ),
        ("services/usher/src/local/up.rs", ""),
    ];
    for (file, source) in good {
        assert_eq!(
            plan::complaints(file, source),
            Vec::<String>::new(),
            "{file}"
        );
    }
}

#[test]
fn the_checker_of_links_sees_those_within_the_repository() {
    let text = "[a](b.md) and [c](https://d.example), [e](../f/g.rs#h)\n```\n[x](y)\n```\n[`i`](#j \"k\")\n";
    let seen = links::links(text);
    let links: Vec<_> = seen
        .iter()
        .map(|(line, link)| (*line, link.as_str()))
        .collect();
    assert_eq!(links, [(1, "b.md"), (1, "../f/g.rs#h"), (5, "#j")]);
}

#[test]
fn no_two_types_of_a_crate_share_a_name_unless_the_glossary_says_why() {
    let glossary = read(&root().join("docs/glossary.md"));
    report(names::complaints(&sources(&["src"]), &glossary).into_iter());
}

#[test]
fn the_checker_of_names_sees_a_shared_one_and_a_row_that_is_not_needed() {
    let file =
        |name: &str, source: &str| (format!("services/kit/src/{name}.rs"), source.to_owned());
    let sources = [
        file("a", "pub struct Turn;\nstruct Model;\nenum Fate {}"),
        file("b", "trait Turn {}\nstruct Model;\n// enum Fate {}"),
    ];
    let table =
        |rows: &str| format!("## Names that two types share\n\n| a | b |\n|---|---|\n{rows}");
    assert_eq!(names::complaints(&sources, &table("")).len(), 2);
    let listed = "| `Turn` | `services/kit/src/a.rs` | `services/kit/src/b.rs` | why |\n";
    assert_eq!(
        names::complaints(&sources, &table(listed)),
        Vec::<String>::new()
    );
    let idle = format!("{listed}| `Fate` | `services/kit/src` | `services/kit/src` | why |\n");
    assert_eq!(names::complaints(&sources, &table(&idle)).len(), 1);
}

#[test]
fn the_checker_sees_a_broken_rule_in_every_form_of_import() {
    let bad = [
        (
            "services/accounts/src/domain/email.rs",
            "use tokio::time::sleep;",
            "tokio::time::sleep",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "use std::{fmt, time::{Duration, SystemTime}};",
            "std::time::SystemTime",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "use super::super::store;",
            "crate::store",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "use crate::commands::CreateAccount;",
            "crate::commands::CreateAccount",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "fn f() { kit::clock::Clock::now(); }",
            "kit::clock::Clock::now",
        ),
        (
            "services/accounts/src/domain/plan.rs",
            "fn f() { Instant::now(); }",
            "Instant::now",
        ),
        (
            "services/accounts/src/store.rs",
            "use crate::{domain::Email, commands};",
            "crate::commands",
        ),
        (
            "services/accounts/src/store/rows.rs",
            "use super::super::grpc::encode as other;",
            "crate::grpc::encode",
        ),
        (
            "services/accounts/src/commands/mod.rs",
            "fn f() -> Result<(), tonic::Status> {}",
            "tonic::Status",
        ),
        (
            "services/verification/src/commands/confirm.rs",
            "pub use proto::events;",
            "proto::events",
        ),
        (
            "services/mailer/src/grpc.rs",
            "use crate::store;",
            "crate::store",
        ),
        (
            "services/mailer/src/grpc.rs",
            "#[derive(sea_orm::FromQueryResult)]",
            "sea_orm::FromQueryResult",
        ),
        (
            "services/mailer/src/smtp.rs",
            "use crate::app::App;",
            "crate::app::App",
        ),
        (
            "services/mailer/src/migrations/first.rs",
            "use crate::store::mail::Entity;",
            "crate::store::mail::Entity",
        ),
        (
            "services/mailer/src/app.rs",
            "use verification::App;",
            "verification::App",
        ),
        (
            "services/kit/src/bus.rs",
            "use accounts::domain::Email;",
            "accounts::domain::Email",
        ),
        ("proto/src/lib.rs", "use kit::clock;", "kit::clock"),
        (
            "services/usher/src/main.rs",
            "use sea_orm::Database;",
            "sea_orm::Database",
        ),
    ];
    for (file, source, path) in bad {
        let complaints = rules::complaints(file, &format!("//! A role.\n{source}\n"));
        assert_eq!(complaints.len(), 1, "{file}: {source}: {complaints:#?}");
        assert!(
            complaints[0].starts_with(&format!("{file}:2: names `{path}`\n")),
            "{}",
            complaints[0]
        );
    }
}

#[test]
fn the_checker_lets_good_files_pass() {
    let good = [
        (
            "services/accounts/src/domain/email.rs",
            "use super::*;\nuse std::time::Duration;\nfn f() { u64::from(1); Email::parse(); }",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "// use tokio::fs;\nconst A: &str = \"crate::store::x \\\" tokio::fs\";",
        ),
        (
            "services/accounts/src/domain/email.rs",
            "#[cfg(test)]\nmod tests { use proptest::prelude::*; }",
        ),
        (
            "services/accounts/src/domain.rs",
            "mod email;\npub use email::Email;\nuse self::email::parse;",
        ),
        (
            "services/verification/src/commands/deliver.rs",
            "use crate::{domain, mailer::{self, Item}};\nfn f() { mailer::send(); }",
        ),
        (
            "services/mailer/src/grpc.rs",
            "use proto::mailer::v1::Hello;\nuse crate::commands;\nfn f() { x.kit::<T>(); commands::g(); }",
        ),
        (
            "services/mailer/src/app.rs",
            "use crate::{commands, grpc, migrations, store};\nuse tonic::transport::Server;",
        ),
    ];
    for (file, source) in good {
        assert_eq!(
            rules::complaints(file, source),
            Vec::<String>::new(),
            "{file}: {source}"
        );
    }
}

#[track_caller]
fn report(complaints: impl Iterator<Item = String>) {
    let complaints: Vec<String> = complaints.collect();
    assert!(
        complaints.is_empty(),
        "{} found:\n\n{}\n",
        complaints.len(),
        complaints.join("\n")
    );
}

/// Path from the root and content of every `.rs` file in these folders of every crate.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in CRATES.iter().flat_map(|name| {
        folders
            .iter()
            .map(move |folder| root().join(name).join(folder))
    }) {
        collect(&folder, &mut files);
    }
    assert!(
        files.len() >= CRATES.len(),
        "found only {files:?}: has the layout changed?"
    );
    let name = |file: &PathBuf| {
        file.strip_prefix(root())
            .unwrap_or(file)
            .display()
            .to_string()
    };
    files.iter().map(|file| (name(file), read(file))).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace's root")
}
