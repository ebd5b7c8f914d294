//! The layers of ARCHITECTURE.md as tests: they read the sources of the workspace, and the links of
//! its papers, and say file, line, rule and way out when one is broken. Last come the tests of the
//! checker itself, on small bad files.

mod circles;
mod dependencies;
mod dispatchers;
mod imports;
mod links;
mod names;
mod plan;
mod rules;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use circles::Rule;
use dependencies::Names;

const CRATES: [&str; 8] = [
    "proto",
    "services/kit",
    "services/accounts",
    "services/verification",
    "services/mailer",
    "services/mailbox",
    "services/usher",
    "load-tests",
];

#[test]
fn every_file_names_only_what_its_layer_may() {
    report(
        sources(&["src"])
            .iter()
            .flat_map(|(file, source)| rules::complaints(file, source)),
    );
}

/// Crates in which no parent uses a child that uses it, either. Whoever gets there enters the crate
/// here.
const IN_ORDER: [&str; 6] = [
    "proto",
    "services/kit",
    "services/accounts",
    "services/mailbox",
    "services/usher",
    "load-tests",
];

#[test]
fn no_two_modules_of_a_crate_import_each_other_not_even_round_a_longer_way() {
    let files = sources(&["src"]);
    let mut complaints = Vec::new();
    for name in CRATES {
        let inside = format!("{name}/src/");
        let mut ours = Vec::new();
        for (file, source) in &files {
            if file.starts_with(&inside) {
                ours.push((file.as_str(), source.as_str()));
            }
        }
        complaints.extend(circles::complaints(&ours, Rule::Rooms));
        if IN_ORDER.contains(&name) {
            complaints.extend(circles::complaints(&ours, Rule::Files));
        }
    }
    report(complaints.into_iter());
}

#[test]
fn the_command_is_compiled_once_for_every_dispatcher_and_names_none() {
    let sources = sources(&["src"]);
    report(dispatchers::complaints(&sources).into_iter());
    let mut kinds = dispatchers::kinds(&sources);
    kinds.sort_unstable();
    let folder = "services/accounts/src/dispatch";
    let inline = format!("{folder}/inline.rs");
    let [background, jetstream] =
        ["background", "jetstream"].map(|kind| format!("{folder}/{kind}.rs"));
    assert_eq!(
        kinds,
        [
            ("Background", &*background),
            ("Inline", &*inline),
            ("JetStream", &*jetstream)
        ]
    );
    // Each of them is handed to the one command, and by nobody but the composition.
    for (kind, _) in kinds {
        let named = |source: &str| {
            let names = imports::of(source, &[]);
            names
                .iter()
                .any(|import| import.path == format!("crate::dispatch::{kind}"))
        };
        let users = sources
            .iter()
            .filter(|(file, source)| file.starts_with("services/accounts/src/") && named(source));
        let users: Vec<&str> = users.map(|(file, _)| file.as_str()).collect();
        assert_eq!(users, ["services/accounts/src/app.rs"], "{kind}");
    }
}

#[test]
fn the_checker_of_dispatchers_sees_a_kind_that_is_named_and_lines_for_one_only() {
    let file = |name: &str, source: &str| {
        (
            format!("services/accounts/src/{name}.rs"),
            source.to_owned(),
        )
    };
    let bad = [
        file(
            "commands/create_account",
            "use crate::dispatch::{EventDispatcher, Inline};",
        ),
        file(
            "commands/create_account/group",
            "fn f() { crate::dispatch::inline::ask(); }",
        ),
        file("store", "use super::dispatch::JetStream as Events;"),
        file("domain", "#[cfg(feature = \"inline\")]\nfn f() {}"),
    ];
    let good = [
        file(
            "commands/create_account",
            "use crate::dispatch::{Created, EventDispatcher, Pending};",
        ),
        file("app", "use crate::dispatch::Inline;"),
    ];
    for one in bad {
        assert_eq!(
            dispatchers::complaints(std::slice::from_ref(&one)).len(),
            1,
            "{one:?}"
        );
    }
    assert_eq!(dispatchers::complaints(&good), Vec::<String>::new());
    let made = [file("dispatch/inline", "impl EventDispatcher for Inline {")];
    assert_eq!(
        dispatchers::kinds(&made),
        [("Inline", "services/accounts/src/dispatch/inline.rs")]
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
fn every_dependency_is_named_by_what_its_table_is_for() {
    let mut complaints = Vec::new();
    for name in CRATES {
        let folder = root().join(name);
        let mut files = Vec::new();
        collect(&folder.join("src"), &mut files);
        collect(&folder.join("tests"), &mut files);
        collect(&folder.join("benches"), &mut files);
        files.extend(Some(folder.join("build.rs")).filter(|file| file.is_file()));
        let mut names = Names::default();
        for file in &files {
            let inside = file.strip_prefix(&folder).unwrap_or(file);
            names.add(&inside.display().to_string(), &read(file));
        }
        let manifest = read(&folder.join("Cargo.toml"));
        let file = format!("{name}/Cargo.toml");
        complaints.extend(dependencies::complaints(&file, &manifest, &names));
    }
    report(complaints.into_iter());
}

#[test]
fn every_file_opens_with_its_role() {
    let nameless = sources(&["src", "tests", "benches"])
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
        // Not `println!`, which the harness keeps to itself when a test passes.
        let _ = writeln!(
            io::stderr(),
            "look again: {file} has {lines} lines; is it still one noun or one verb?"
        );
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
            .flat_map(|(file, source)| plan::complaints(file, source))
            .chain(plan::absences(&sources)),
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
        ("services/verification/src/grpc/stream.rs", ""),
        ("services/mailer/src/consumer.rs", ""),
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
fn the_checker_of_the_plan_sees_what_is_missing_and_what_nobody_declares() {
    let mut whole = sources(&["src"]);
    whole.retain(|(file, _)| file.starts_with("services/"));
    assert_eq!(plan::absences(&whole), Vec::<String>::new());
    for (file, must) in [
        ("services/accounts/src/grpc/status.rs", true),
        ("services/mailer/src/grpc/decode.rs", true),
        ("services/verification/src/consumer.rs", true),
        ("services/accounts/src/grpc/decode.rs", false),
        ("services/mailer/src/consumer.rs", false),
        ("services/accounts/src/metrics.rs", false),
    ] {
        let mut without = whole.clone();
        without.retain(|(other, _)| other != file);
        let missing = plan::absences(&without);
        let named = missing.iter().any(|told| told.starts_with(file));
        assert_eq!(named, must, "{missing:#?}");
    }
    for file in [
        "services/accounts/src/commands/watch.rs",
        "services/accounts/src/commands/create_account/account.rs",
        "services/mailer/src/consumer.rs",
        "services/mailer/src/ledger/claim.rs",
    ] {
        let mut with = whole.clone();
        with.push((file.to_owned(), String::new()));
        let undeclared = plan::absences(&with);
        assert_eq!(undeclared.len(), 1, "{undeclared:#?}");
        assert!(undeclared[0].starts_with(file), "{undeclared:#?}");
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
        (
            "load-tests/src/check.rs",
            "use sea_orm::Database;",
            "sea_orm::Database",
        ),
        (
            "services/usher/src/lib.rs",
            "use load_tests::load::Load;",
            "load_tests::load::Load",
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

#[test]
fn the_checker_sees_a_circle_in_every_form() {
    let there_and_back = [
        ("services/usher/src/lib.rs", "mod local;\nmod target;"),
        ("services/usher/src/local.rs", "pub(crate) mod run_file;"),
        (
            "services/usher/src/local/run_file.rs",
            "use crate::target::Service;",
        ),
        (
            "services/usher/src/target.rs",
            "\nfn f() { crate::local::run_file::read(); }",
        ),
    ];
    let longer = [
        ("services/usher/src/local.rs", ""),
        (
            "services/usher/src/local/child.rs",
            "use super::{ports::Ports, traces::Signals};",
        ),
        ("services/usher/src/local/ports.rs", ""),
        (
            "services/usher/src/local/traces.rs",
            "use super::system::System;",
        ),
        ("services/usher/src/local/system.rs", "use super::child;"),
    ];
    let through_the_lobby = [
        (
            "services/usher/src/trace.rs",
            "mod words;\npub(crate) mod picture;\npub(crate) use picture::{render as draw};",
        ),
        (
            "services/usher/src/trace/picture.rs",
            "use super::words::short;",
        ),
        (
            "services/usher/src/trace/words.rs",
            "use crate::trace;\nfn f() { trace::draw(); }",
        ),
    ];
    for rule in [Rule::Rooms, Rule::Files] {
        for (files, length) in [
            (&there_and_back[..], 2),
            (&longer, 3),
            (&through_the_lobby, 2),
        ] {
            let found = circles::complaints(files, rule);
            assert_eq!(found.len(), 1, "{files:?}: {found:#?}");
            assert_eq!(found[0].matches(": names ").count(), length, "{found:#?}");
        }
    }
    let complaints = circles::complaints(&there_and_back, Rule::Rooms);
    let told: Vec<&str> = complaints[0].lines().take(3).collect();
    assert_eq!(
        told,
        [
            "a circle of imports: local, target",
            "    services/usher/src/local/run_file.rs:1: names `target`",
            "    services/usher/src/target.rs:2: names `local::run_file`",
        ]
    );
}

#[test]
fn the_checker_sees_circles_between_folders_and_between_parent_and_child_each_by_its_rule() {
    let folders = [
        ("services/mailer/src/door.rs", "mod lanes;\nmod pass;"),
        (
            "services/mailer/src/door/lanes.rs",
            "use crate::mail::text;",
        ),
        ("services/mailer/src/door/pass.rs", ""),
        ("services/mailer/src/mail.rs", "mod render;\nmod text;"),
        ("services/mailer/src/mail/text.rs", ""),
        (
            "services/mailer/src/mail/render.rs",
            "use crate::door::pass::Pass;",
        ),
    ];
    let parent_and_child = [
        (
            "services/usher/src/doctor.rs",
            "mod checks;\nstruct Finding;\nfn f() { checks::all(); }",
        ),
        ("services/usher/src/doctor/checks.rs", "use super::Finding;"),
    ];
    let root_and_child = [
        ("services/usher/src/lib.rs", "mod demo;\nuse demo::run;"),
        (
            "services/usher/src/demo.rs",
            "fn f() { crate::settings(); }",
        ),
    ];
    for (files, by_rooms, by_files) in [
        (&folders[..], 1, 0),
        (&parent_and_child, 0, 1),
        (&root_and_child, 0, 1),
    ] {
        let found = [Rule::Rooms, Rule::Files].map(|rule| circles::complaints(files, rule).len());
        assert_eq!(found, [by_rooms, by_files], "{files:?}");
    }
}

#[test]
fn the_checker_lets_lobbies_and_one_way_streets_pass() {
    let lobby = [
        (
            "services/kit/src/bus.rs",
            "mod pull;\npub use pull::Pull;\npub struct Bus;",
        ),
        ("services/kit/src/bus/pull.rs", "use super::Bus;"),
    ];
    let one_way = [
        ("services/kit/src/lib.rs", "pub mod db;\npub mod outbox;"),
        ("services/kit/src/main.rs", "use kit::outbox;"),
        (
            "services/kit/src/db.rs",
            "mod lock;\nuse lock::Lock;\nuse std::time;\n// use crate::outbox;",
        ),
        (
            "services/kit/src/db/lock.rs",
            "use outbox::Other;\nfn f() { time::now(); }",
        ),
        (
            "services/kit/src/outbox.rs",
            "use crate::{self as kit, db::{self, Db}};\nfn f() { db::now(); kit::db::g(); }",
        ),
    ];
    for files in [&lobby[..], &one_way] {
        for rule in [Rule::Rooms, Rule::Files] {
            let found = circles::complaints(files, rule);
            assert!(found.is_empty(), "{files:?}: {found:#?}");
        }
    }
}

#[test]
fn the_checker_sees_a_dependency_that_nothing_names_or_only_tests() {
    let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nused.workspace = true\nonly-tested.workspace = true\n\
                    excused = { workspace = true }\n\n[dev-dependencies]\n# for later\nonly-tested.workspace = true\n\
                    unused.workspace = true\n\n[package.metadata.cargo-machete]\nignored = [\"excused\"]\n";
    let mut names = Names::default();
    names.add(
        "src/lib.rs",
        "use used::Thing; // and unused\n#[cfg(test)]\nmod tests { use only_tested::x; }",
    );
    names.add("tests/service.rs", "const TEXT: &str = \"unused\";");
    let complaints = dependencies::complaints("a/Cargo.toml", manifest, &names);
    let places: Vec<&str> = complaints
        .iter()
        .filter_map(|told| told.lines().next())
        .collect();
    assert_eq!(
        places,
        [
            "a/Cargo.toml:6: no source that uses [dependencies] names `only-tested`",
            "a/Cargo.toml:12: no source that uses [dev-dependencies] names `unused`",
        ]
    );
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
