//! The papers say what is true: README's recorded demo, the reference of settings, the example of a
//! configuration file, and the tests that they name. `make papers` writes the first three anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use kit::config::{example, reference};
use serde_json::Value;

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

const EXAMPLE: &str = "docs/usher.example.toml";

const EXAMPLE_HEAD: &str = "\
# Usher's configuration file: every setting of every service, commented out, at its default.
# Copy it, name the copy in USHER_CONFIG, and take the `#` away where you set something;
# `usher config` shows what holds then. Written by `make papers` from the code.
#
# Flags and environment win over this file. What several services share, such as nats_url, can
# stand once, above the first table; a service's own table wins over that. \"\" is unset.
# Whoever may read this file reads the passwords in it.
";

#[test]
fn the_example_of_a_configuration_file_is_the_codes_own() {
    let tables = [
        example::<accounts::config::Config>("accounts"),
        example::<verification::config::Config>("verification"),
        example::<mailer::config::Config>("mailer"),
    ];
    let fresh = [EXAMPLE_HEAD, &tables.join("\n\n")].join("\n");
    let path = root().join(EXAMPLE);
    if std::env::var_os("USHER_WRITE_PAPERS").is_some() {
        fs::write(&path, fresh).expect("the paper can be written");
    } else {
        let old = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            old == fresh,
            "{EXAMPLE} is not what the code says. Run `make papers`.\n{fresh}"
        );
    }
}

/// What `usher config` says with this file: service and setting, the value, and where it is from.
fn configured(file: Option<&str>) -> BTreeMap<(String, String), (Value, Value)> {
    let folder = kit::testing::folder();
    let mut config = usher();
    config.args(["config", "--output", "json"]);
    if let Some(text) = file {
        let path = folder.path().join("usher.toml");
        fs::write(&path, text).expect("the folder can be written");
        config.env("USHER_CONFIG", path);
    }
    let output = config.output().expect("usher can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    let mut settings = BTreeMap::new();
    for service in ["accounts", "verification", "mailer"] {
        for row in all[service].as_array().into_iter().flatten() {
            let name = row["setting"].as_str().unwrap_or_default().to_owned();
            let held = (row["value"].clone(), row["from"].clone());
            settings.insert((service.to_owned(), name), held);
        }
    }
    settings
}

#[test]
fn in_the_example_each_setting_stands_at_its_default_and_is_taken() {
    let text = fs::read_to_string(root().join(EXAMPLE)).expect("the example can be read");
    let defaults = configured(None);
    assert_eq!(
        configured(Some(&text)),
        defaults,
        "as it is, it changes nothing"
    );
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let lines = text
        .lines()
        .map(|line| match Some(line).filter(is_setting) {
            Some(setting) => setting.trim_start_matches('#'),
            None => line,
        });
    let in_effect = configured(Some(&lines.collect::<Vec<_>>().join("\n")));
    assert!(defaults.len() > 60, "{defaults:?}");
    for (setting, (default, _)) in &defaults {
        let (value, from) = &in_effect[setting];
        assert_eq!(value, default, "{setting:?}");
        // What is unset by default is unset there, too.
        let expected = if default.is_null() { "default" } else { "file" };
        assert_eq!(from, expected, "{setting:?}");
        let key = setting.1.trim_start_matches("USHER_").to_lowercase();
        assert!(
            text.contains(&format!("\n#{key} = ")),
            "{setting:?} does not stand in it"
        );
    }
}

#[test]
fn the_demo_in_readme_is_what_it_prints() {
    let folder = kit::testing::folder();
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
        for file in files_below(&tests) {
            sources.push_str(&fs::read_to_string(file).unwrap_or_default());
        }
    }
    for file in files_below(&root().join("load-tests/tests")) {
        sources.push_str(&fs::read_to_string(file).unwrap_or_default());
    }
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn whatever_the_threat_model_promises_is_shown_by_a_test() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("the paper can be read");
    let (_, model) = text
        .split_once("## Who may do what")
        .expect("the paper has the model");
    let rows: Vec<&str> = model
        .lines()
        .filter(|line| line.starts_with("| **"))
        .collect();
    assert_eq!(rows.len(), 7, "{rows:#?}");
    for row in rows {
        let mut cells = row.split('|').skip(1);
        let (who, promised) = (cells.next(), cells.next().unwrap_or_default());
        // A promise ends where its test is named; what follows the last name is punctuation.
        let (_, after) = promised.rsplit_once('`').unwrap_or(("", promised));
        let is_shown = promised.split('`').any(is_test_name);
        let rest = after.chars().filter(|c| c.is_alphabetic()).count();
        assert!(
            is_shown && rest == 0,
            "{who:?} ends without a test: {after}"
        );
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            folder if folder.is_dir() => files.extend(files_below(&folder)),
            file => files.push(file),
        }
    }
    files
}

/// Several lower-case words joined by underscores: how this project names tests and nothing else in
/// its papers.
fn is_test_name(word: &str) -> bool {
    word.split('_').count() >= 5
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
