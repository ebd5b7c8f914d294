//! What the binary says that it was built from: by the build script itself, in the places where
//! people build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::world::usher;

/// A folder for checkouts, and the build script as a program in it.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-o"]);
        rustc.arg(folder.path().join("build")).arg(script);
        assert!(rustc.status().expect("rustc can be run").success());
        Self { folder }
    }

    /// A tree that looks like ours, as it comes out of a tarball.
    fn tree(&self, name: &str) -> PathBuf {
        let tree = self.folder.path().join(name);
        for folder in ["proto", "services/usher/src", "services/usher/tests"] {
            fs::create_dir_all(tree.join(folder)).expect("the folder can be written");
        }
        for file in ["Cargo.toml", "services/usher/src/lib.rs"] {
            fs::write(tree.join(file), "# 1\n").expect("the folder can be written");
        }
        tree
    }

    /// What a release of a tree is told: each line of the script's.
    fn told(&self, tree: &Path, path: &str) -> Vec<String> {
        let script = Command::new(self.folder.path().join("build"))
            .env("CARGO_MANIFEST_DIR", tree.join("services/usher"))
            .env("PROFILE", "release")
            .env("TARGET", "x86_64-unknown-linux-gnu")
            .env("RUSTC", "rustc")
            .env("PATH", path)
            .output();
        let output = script.expect("the script can be run");
        let lines = String::from_utf8(output.stdout).expect("it speaks UTF-8");
        lines.lines().map(ToOwned::to_owned).collect()
    }

    /// The commit, and whether the sources differ from it.
    fn built_from(&self, tree: &Path) -> (String, String) {
        let told = self.told(tree, &path());
        (value(&told, "COMMIT"), value(&told, "CHANGED"))
    }
}

fn path() -> String {
    std::env::var("PATH").expect("there is a PATH")
}

fn value(told: &[String], name: &str) -> String {
    let begin = format!("cargo::rustc-env=USHER_BUILD_{name}=");
    let value = told.iter().find_map(|line| line.strip_prefix(&begin));
    value.expect("the script says so").to_owned()
}

fn git(tree: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(tree)
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .output()
        .expect("git can be run");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_build_says_its_commit_in_a_clone_and_in_a_worktree_and_none_without_a_repository() {
    let ground = Ground::new();
    let unknown = ("unknown".to_owned(), String::new());
    let tree = ground.tree("tree");
    assert_eq!(ground.built_from(&tree), unknown, "a tarball");

    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "."]);
    git(&tree, &["commit", "--quiet", "--message", "one"]);
    let one = git(&tree, &["rev-parse", "--short=12", "HEAD"]);
    let clean = (one.clone(), "false".to_owned());
    assert_eq!(ground.built_from(&tree), clean, "a clone");
    let without_git = ground.told(&tree, "/nowhere");
    assert_eq!(value(&without_git, "COMMIT"), "unknown");
    let second = ground.folder.path().join("second");
    git(
        &tree,
        &[
            "worktree",
            "add",
            "--quiet",
            second.to_str().expect("a plain name"),
        ],
    );
    assert_eq!(ground.built_from(&second), clean, "a worktree");
    let inside = ground.tree("tree/vendor/usher");
    assert_eq!(
        ground.built_from(&inside),
        unknown,
        "a tarball in somebody's repository"
    );
    fs::remove_dir_all(tree.join("vendor")).expect("the folder can be written");

    // Only what the binary is made of counts.
    fs::write(tree.join("services/usher/tests/new.rs"), "").expect("the folder can be written");
    assert_eq!(ground.built_from(&tree), clean);
    fs::write(tree.join("services/usher/src/lib.rs"), "# 2\n").expect("the folder can be written");
    assert_eq!(ground.built_from(&tree), (one, "true".to_owned()));

    // Cargo runs the script again for what is there, at the next commit, too.
    let told = ground.told(&tree, &path());
    let watched = told
        .iter()
        .filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="));
    let watched = Vec::from_iter(watched.map(Path::new));
    assert!(watched.iter().all(|path| path.exists()), "{watched:?}");
    assert!(
        watched.iter().any(|path| path.ends_with(".git/logs/HEAD")),
        "{watched:?}"
    );
}

#[test]
fn the_version_says_commit_and_build_to_people_and_to_programs() {
    let said = |arguments: &[&str]| {
        let output = usher().args(arguments).output().expect("usher can be run");
        String::from_utf8(output.stdout).expect("it speaks UTF-8")
    };
    let build: serde_json::Value =
        serde_json::from_str(&said(&["version", "--output", "json"])).expect("it is JSON");
    let commit = build["commit"].as_str().expect("there is a commit");
    let is_hash = commit.len() == 12 && commit.chars().all(|sign| sign.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{build}");
    for (told, facts) in [
        (
            said(&["--version"]),
            &["version", "commit", "profile", "target", "rustc"][..],
        ),
        (
            said(&["version"]),
            &["version", "commit", "profile", "target", "rustc"],
        ),
        (said(&["-V"]), &["version", "commit"]),
        (said(&["version", "--quiet"]), &["version"]),
    ] {
        for fact in facts {
            let fact = build[fact].as_str().expect("it is a text");
            assert!(!fact.is_empty() && told.contains(fact), "{told}");
        }
    }
}
