//! The papers say what is true: README's recorded demo, the reference of settings, and the tests
//! that they name. `make papers` writes the first two anew.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use kit::config::reference;

use crate::{recorded::normalised, world::usher};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a part of a paper with what it should be, or, for `make papers`, replaces it.
fn check(paper: &str, part: &str, fresh: &str, same: fn(&str, &str) -> bool) {
    let path = root().join(paper);
    let text = fs::read_to_string(&path).expect("the paper can be read");
    let (begin, end) = (
        format!("<!-- {part}:begin -->\n"),
        format!("<!-- {part}:end -->"),
    );
    let (head, rest) = text
        .split_once(&begin)
        .expect("the paper has the part's begin");
    let (old, tail) = rest.split_once(&end).expect("the paper has the part's end");
    if std::env::var_os("USHER_WRITE_PAPERS").is_some() {
        fs::write(&path, [head, &begin, fresh, &end, tail].concat())
            .expect("the paper can be written");
    } else if !same(old, fresh) {
        panic!("{paper}, part {part}, is not what the code says. Run `make papers`.\n{fresh}");
    }
}

#[test]
fn the_reference_of_settings_is_the_codes_own() {
    let references = [
        ("settings accounts", reference::<accounts::config::Config>()),
        (
            "settings verification",
            reference::<verification::config::Config>(),
        ),
        ("settings mailer", reference::<mailer::config::Config>()),
    ];
    for (part, fresh) in references {
        check("docs/settings.md", part, &fresh, |old, fresh| old == fresh);
    }
}

#[test]
fn the_demo_in_readme_is_what_it_prints() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let demo = usher()
        .arg("demo")
        .env("USHER_DATA", folder.path())
        .output()
        .expect("usher can be run");
    assert!(
        demo.status.success(),
        "{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    let said = format!("```text\n{}```\n", String::from_utf8_lossy(&demo.stdout));
    check("README.md", "demo", &said, |old, fresh| {
        normalised(old) == normalised(fresh)
    });
}

#[test]
fn every_test_that_the_papers_name_exists() {
    let papers = [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "docs/how-to-add.md",
        "docs/states.md",
    ];
    let named: BTreeSet<String> = papers
        .iter()
        .flat_map(|paper| {
            let text = fs::read_to_string(root().join(paper)).expect("the paper can be read");
            text.split('`')
                .filter(|word| is_test_name(word))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(named.len() > 10, "the papers name their tests: {named:?}");
    let mut sources = String::new();
    for member in fs::read_dir(root().join("services")).expect("the services can be listed") {
        let tests = member
            .expect("a member can be read")
            .path()
            .join("tests/service");
        for file in fs::read_dir(tests).into_iter().flatten().flatten() {
            sources.push_str(&fs::read_to_string(file.path()).unwrap_or_default());
        }
    }
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

/// Several lower-case words joined by underscores: how this project names tests and nothing else in
/// its papers.
fn is_test_name(word: &str) -> bool {
    word.split('_').count() >= 5
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
