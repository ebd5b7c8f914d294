//! Files that an operator names, outside of the data folder.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
};

use super::ground::{
    Ground, Running, as_nobody, can_play_another_user, give_to_nobody, make_file, make_folder,
    plant,
};
use crate::world::USHER;

/// A Secret as Kubernetes mounts it for a pod with an `fsGroup`: all of it is root's, the folder
/// is open to everybody and sticky, and each file is a link through another link.
fn mounted_secret(ground: &Ground, mode: u32) -> std::path::PathBuf {
    let mount = ground.path("mount");
    make_folder(&mount, 0o1777);
    make_folder(&mount.join("..2026_11_26"), 0o755);
    make_file(
        &mount.join("..2026_11_26/token"),
        "0123456789abcdef\n",
        mode,
    );
    chown(mount.join("..2026_11_26/token"), Some(0), Some(65534)).unwrap();
    symlink("..2026_11_26", mount.join("..data")).unwrap();
    symlink("..data/token", mount.join("token")).unwrap();
    mount.join("token")
}

/// The command as another user runs it.
fn usher_as_nobody(ground: &Ground) -> Command {
    let program = ground.path("usher");
    if !program.exists() {
        // Where it was built, others may not be allowed to look.
        let copied =
            fs::hard_link(USHER, &program).or_else(|_| fs::copy(USHER, &program).map(drop));
        copied.unwrap();
    }
    let mut command = as_nobody(program.to_str().unwrap());
    command.env_clear();
    command
}

/// What another user is told who runs a command with this token; nobody answers it.
fn said_with(ground: &Ground, token: &Path) -> (Option<i32>, String) {
    let mut command = usher_as_nobody(ground);
    command
        .args(["account", "list", "--accounts-url", "http://127.0.0.1:1"])
        .arg("--admin-token-file")
        .arg(token);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_secret_as_kubernetes_mounts_it_is_read_through_its_links() {
    if !can_play_another_user() {
        return;
    }
    let ground = Ground::new();
    let (code, said) = said_with(&ground, &mounted_secret(&ground, 0o440));
    assert_eq!(code, Some(5), "only the service is missing: {said}");
}

#[tokio::test]
async fn a_service_starts_with_secrets_as_kubernetes_mounts_them() {
    if !can_play_another_user() {
        return;
    }
    let ground = Ground::new();
    let theirs = ground.path("theirs");
    make_folder(&theirs, 0o700);
    give_to_nobody(&theirs);
    let mut command = usher_as_nobody(&ground);
    command
        .arg("accounts")
        .env("USHER_LISTEN", "127.0.0.1:0")
        .env("USHER_ADMIN_LISTEN", "127.0.0.1:0")
        .env("USHER_NATS_URL", "nats://127.0.0.1:1")
        .env("USHER_ADMIN_TOKEN_FILE", mounted_secret(&ground, 0o440))
        .env(
            "USHER_DATABASE_URL",
            format!("sqlite:{}", theirs.join("accounts.sqlite").display()),
        )
        .stderr(fs::File::create(ground.path("said")).unwrap());
    let mut service = Running::start(&mut command);
    // The last thing that it makes.
    service
        .until_there_is(&theirs.join("fingerprint-key"), || ground.said())
        .await;
}

#[test]
fn a_secret_that_everybody_may_read_or_somebody_elses_link_leads_to_is_refused() {
    if !can_play_another_user() {
        return;
    }
    let ground = Ground::new();
    let token = mounted_secret(&ground, 0o444);
    let (code, said) = said_with(&ground, &token);
    assert!(
        code == Some(4) && said.contains("others may read"),
        "{said}"
    );
    assert!(said.contains("chmod"), "{said}");

    fs::set_permissions(
        fs::canonicalize(&token).unwrap(),
        fs::Permissions::from_mode(0o440),
    )
    .unwrap();
    // As user 1000 plants one: neither root's nor nobody's.
    let link = ground.path("link");
    plant(&link, &token);
    std::os::unix::fs::lchown(&link, Some(1000), Some(1000)).unwrap();
    let (code, said) = said_with(&ground, &link);
    assert!(code == Some(4) && said.contains("is a link"), "{said}");

    let file = ground.path("theirs");
    make_file(&file, "0123456789abcdef\n", 0o444);
    chown(&file, Some(1000), Some(1000)).unwrap();
    let (code, said) = said_with(&ground, &file);
    assert!(
        code == Some(4) && said.contains("belongs to user 1000"),
        "{said}"
    );
}
