//! Fail points: which there are, the one build that has them, and that no other has.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use kit::testing::{SOON, eventually, skip};
use proto::verification::{
    GetVerificationRequest, verification_service_client::VerificationServiceClient,
};

use crate::{alone::Alone, world::USHER};

/// How the code begins one.
const POINT: &str = "fail_point!(\"";
/// What the crate that they are made of reads from the environment.
const VARIABLE: &str = "FAILPOINTS";

/// The command as the tests of crashes run it.
pub(crate) fn program() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let script = root().join("deploy/tools/failpoints.sh");
        let output = Command::new(script)
            .output()
            .expect("the script can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "usher with fail points was not built:\n{said}"
        );
        String::from_utf8_lossy(&output.stdout).trim().into()
    });
    &BUILT
}

/// Those of the code.
pub(crate) fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for service in ["kit", "accounts", "verification", "mailer"] {
        collect(
            &root().join("services").join(service).join("src"),
            &mut names,
        );
    }
    names
}

#[test]
fn only_the_build_for_tests_has_fail_points() {
    let mut sought = names();
    assert!(sought.len() > 20, "{sought:?}");
    sought.insert(VARIABLE.to_owned());
    // That they would be found where they are.
    assert_eq!(found(program(), &sought), sought);
    for binary in builds() {
        assert_eq!(
            found(&binary, &sought),
            BTreeSet::new(),
            "{}",
            binary.display()
        );
    }
}

#[tokio::test]
async fn every_other_build_passes_them_by() {
    for point in ["consumer/pulled", "verification/committed"] {
        let set = format!("{point}=return");
        let alone = Alone::start("verification", &[(VARIABLE, &set)]).await;
        let account_id = alone.publish_account("ada@example.com", "").await;
        eventually("the event to be handled", SOON, async || {
            let request = GetVerificationRequest {
                account_id: account_id.clone(),
            };
            let mut verification = VerificationServiceClient::new(alone.channel());
            verification.get_verification(request).await.ok()
        })
        .await;
        alone.terminate().await;
    }
}

/// What people run: the one of this test, and what `make static` built, which is there in CI.
fn builds() -> Vec<PathBuf> {
    let released = root().join("target/static/usher");
    let mut builds = vec![PathBuf::from(USHER)];
    match released.exists() {
        true => builds.push(released),
        false => skip(true, " on the static binary: `make static` builds it"),
    }
    builds
}

/// Which of these octets are in a binary. By `grep`: this build's own loops are not made for that.
fn found(binary: &Path, sought: &BTreeSet<String>) -> BTreeSet<String> {
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--fixed-strings"]);
    grep.args(sought.iter().flat_map(|name| ["-e", name]));
    let output = grep.arg(binary).env("LC_ALL", "C").output();
    let output = output.expect("grep can be run");
    assert_eq!(output.stderr, b"", "{}", binary.display());
    let lines = String::from_utf8(output.stdout).expect("names are text");
    lines.lines().map(str::to_owned).collect()
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder)
        .expect("the sources can be read")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source is text");
        let mut rest = source.as_str();
        while let Some((_, after)) = rest.split_once(POINT) {
            let (name, after) = after.split_once('"').expect("a name ends");
            names.insert(name.to_owned());
            rest = after;
        }
    }
}

fn root() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    ours.join("../..")
        .canonicalize()
        .expect("the workspace is there")
}
