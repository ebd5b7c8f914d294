//! Reads the dependency tables of one crate and says which entries its sources do not name; `main`
//! runs it over the workspace.

use std::collections::BTreeSet;

use crate::imports;

/// What a crate's sources name, by what they are compiled for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    library: BTreeSet<String>,
    tests: BTreeSet<String>,
    build: BTreeSet<String>,
}

impl Names {
    /// Adds a source; `file` is its path inside the crate.
    pub(crate) fn add(&mut self, file: &str, source: &str) {
        if file == "build.rs" {
            self.build.extend(imports::names(source));
        } else if file.starts_with("src/") {
            self.library.extend(imports::names(source));
            self.tests.extend(imports::names(source));
            if let Some((_, unit_tests)) = source.split_once("#[cfg(test)]\nmod ") {
                self.tests.extend(imports::names(unit_tests));
            }
        } else {
            self.tests.extend(imports::names(source));
        }
    }
}

/// What `manifest`, the content of `file`, depends on without need.
pub(crate) fn complaints(file: &str, manifest: &str, names: &Names) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut table = "";
    for (place, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            table = line;
        }
        let (named, way_out) = match table {
            "[dependencies]" => (&names.library, "What only tests name is a dev-dependency."),
            "[dev-dependencies]" => (&names.tests, "Take it out."),
            "[build-dependencies]" => (&names.build, "Take it out."),
            _ => continue,
        };
        let Some((dependency, _)) = line.split_once(['.', ' ']) else {
            continue;
        };
        let is_entry = !line.starts_with('#') && !is_excused(dependency, manifest);
        if is_entry && !named.contains(&dependency.replace('-', "_")) {
            let line = place + 1;
            complaints.push(format!(
                "{file}:{line}: no source that uses {table} names `{dependency}`\n    {way_out}"
            ));
        }
    }
    complaints
}

/// What generated code names stands under `package.metadata.cargo-machete`, with the reason.
fn is_excused(dependency: &str, manifest: &str) -> bool {
    let mut ignored = manifest
        .lines()
        .filter(|line| line.starts_with("ignored = "));
    ignored.any(|line| line.contains(&format!("\"{dependency}\"")))
}
