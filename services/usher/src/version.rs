//! `usher version` and `--version`: which version this is, and what `build.rs` says that it was
//! built from.

use clap::Args;
use serde::Serialize;

use crate::output::{Format, facts};

/// Tell the version, the commit and the build
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher version
  usher version --output json | jq -r .commit")]
pub(crate) struct VersionArguments {}

#[derive(Debug, Serialize)]
struct Build {
    version: &'static str,
    commit: &'static str,
    /// Whether the sources differed from the commit; `None` where there was no repository.
    changed: Option<bool>,
    profile: &'static str,
    target: &'static str,
    rustc: &'static str,
}

fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("USHER_BUILD_COMMIT"),
        changed: env!("USHER_BUILD_CHANGED").parse().ok(),
        profile: env!("USHER_BUILD_PROFILE"),
        target: env!("USHER_BUILD_TARGET"),
        rustc: env!("USHER_BUILD_RUSTC"),
    }
}

/// `-V`, and the foot of man pages: `0.1.0 (2f0aa4112345)`.
pub(crate) fn short() -> String {
    let build = build();
    format!("{} ({})", build.version, commit(&build))
}

/// `--version`, after the program's name.
pub(crate) fn long() -> String {
    let build = build();
    let lines = lines(&build).map(|(label, value)| format!("{label}: {value}"));
    format!("{}\n{}", build.version, lines.join("\n"))
}

pub(crate) fn run(format: Format) {
    let build = build();
    format.print_named(&build, [build.version], |build| {
        let version = [("version", build.version.to_owned())];
        facts(&[&version[..], &lines(build)].concat())
    });
}

fn lines(build: &Build) -> [(&'static str, String); 4] {
    [
        ("commit", commit(build)),
        ("profile", build.profile.to_owned()),
        ("target", build.target.to_owned()),
        ("rustc", build.rustc.to_owned()),
    ]
}

fn commit(build: &Build) -> String {
    match build.changed {
        Some(true) => format!("{}, with changes", build.commit),
        Some(false) | None => build.commit.to_owned(),
    }
}
