//! Tells `version` what the binary is built from: the commit, and whether what it is made of
//! differs from that. Needs neither git nor a repository: a tarball's build says `unknown`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What the binary is made of, seen from the workspace; a service's tests are no part of it.
const SHARED: [&str; 3] = ["Cargo.toml", "Cargo.lock", "proto"];
const OF_EACH_SERVICE: [&str; 4] = ["Cargo.toml", "build.rs", "src", "templates"];

fn main() {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let workspace = package.join("../..");
    let sources = sources(&workspace);
    for source in &sources {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    let (commit, is_changed) = built_from(&workspace, &sources);
    let profile = variable("PROFILE");
    // A release tells the commit that it is built at. While somebody develops, a commit alone
    // builds nothing anew: then it tells where the sources last changed, which holds as well.
    if profile == "release" {
        for file in ["HEAD", "logs/HEAD"] {
            let path = git(&workspace, &["rev-parse", "--git-path", file]);
            let path = path.map(|path| workspace.join(path));
            if let Some(path) = path.filter(|path| path.exists()) {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    let compiler = run(Command::new(variable("RUSTC")).arg("--version"));
    let facts = [
        ("COMMIT", commit),
        ("CHANGED", is_changed),
        ("PROFILE", profile),
        ("TARGET", variable("TARGET")),
        ("RUSTC", compiler.unwrap_or_default()),
    ];
    for (name, value) in facts {
        println!("cargo::rustc-env=USHER_BUILD_{name}={value}");
    }
}

/// The commit, and `true` or `false`; `unknown` and nothing where git does not say.
fn built_from(workspace: &Path, sources: &[String]) -> (String, String) {
    // Whoever builds without the repository, as an image does, may know the commit.
    println!("cargo::rerun-if-env-changed=USHER_COMMIT");
    let told = variable("USHER_COMMIT");
    if !told.is_empty() {
        return (told, String::new());
    }
    let unknown = || ("unknown".to_owned(), String::new());
    let top = git(workspace, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
    let top = top.and_then(|top| top.canonicalize().ok());
    // A tarball that was unpacked inside somebody's repository is none of its commits.
    if top.is_none() || top != workspace.canonicalize().ok() {
        return unknown();
    }
    let Some(commit) = git(workspace, &["rev-parse", "--short=12", "HEAD"]) else {
        return unknown();
    };
    let mut status = vec!["--no-optional-locks", "status", "--porcelain", "--"];
    status.extend(sources.iter().map(String::as_str));
    let is_changed = git(workspace, &status).map(|listed| (!listed.is_empty()).to_string());
    (commit, is_changed.unwrap_or_default())
}

/// Those that exist: cargo takes one that is missing for one that changed.
fn sources(workspace: &Path) -> Vec<String> {
    let mut sources = Vec::from(SHARED.map(ToOwned::to_owned));
    for service in workspace.join("services").read_dir().into_iter().flatten() {
        let Ok(service) = service else { continue };
        let name = service.file_name().to_string_lossy().into_owned();
        sources.extend(OF_EACH_SERVICE.map(|part| format!("services/{name}/{part}")));
    }
    sources.retain(|source| workspace.join(source).exists());
    sources
}

fn git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    run(Command::new("git").arg("-C").arg(workspace).args(arguments))
}

fn run(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
