//! Folders that somebody else has prepared, or that are open to others.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use super::ground::{
    Ground, MAKERS, READERS, can_play_another_user, everything, give_to_nobody, make_file,
    make_folder, plant,
};

/// A way in which a folder is not ours alone, and what the refusal says of it.
type Way = (&'static str, fn(&Ground), &'static [&'static str]);

const OPEN: [Way; 3] = [
    (
        "others may read it",
        |ground| chmod(&ground.data(), 0o755),
        &["others may read", "(mode 0755)", "chmod -R go= "],
    ),
    (
        "others may write it",
        |ground| chmod(&ground.data(), 0o733),
        &["(mode 0733)", "chmod -R go= "],
    ),
    (
        "it is a link",
        |ground| {
            fs::rename(ground.data(), ground.path("elsewhere")).unwrap();
            symlink(ground.path("elsewhere"), ground.data()).unwrap();
        },
        &["is a link", "elsewhere"],
    ),
];

const STRANGE: [Way; 3] = [
    (
        "it is somebody else's",
        |ground| give_to_nobody(&ground.data()),
        &["belongs to user 65534", "chown -R 0 "],
    ),
    (
        "the folder around it is somebody else's",
        |ground| give_to_nobody(&ground.path("")),
        &["belongs to user 65534, who could put something else in the place of"],
    ),
    (
        "somebody else's link leads to it",
        |ground| {
            fs::rename(ground.data(), ground.path("elsewhere")).unwrap();
            plant(&ground.data(), &ground.path("elsewhere"));
        },
        &["is a link", "rm "],
    ),
];

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn all_commands() -> impl Iterator<Item = &'static [&'static str]> {
    MAKERS.iter().map(|maker| maker.line).chain(READERS)
}

async fn are_refused(ways: &[Way]) {
    for (way, prepare, says) in ways {
        for line in all_commands() {
            let ground = Ground::with_data();
            for name in ["run.json", "admin-token", "usher.lock"] {
                make_file(&ground.data().join(name), "precious", 0o600);
            }
            prepare(&ground);
            let before = everything(&ground.path(""));
            let said = ground.refusal(line).await;
            for words in *says {
                assert!(
                    said.contains(words),
                    "{way}, {line:?}, no {words:?}: {said}"
                );
            }
            assert!(!said.contains("precious"), "{way}, {line:?}: {said}");
            assert_eq!(everything(&ground.path("")), before, "{way}, {line:?}");
        }
    }
}

#[tokio::test]
async fn a_data_folder_that_is_open_to_others_is_refused_with_what_mends_it_and_left_as_it_is() {
    are_refused(&OPEN).await;
}

#[tokio::test]
async fn a_data_folder_of_somebody_else_is_refused_with_what_mends_it_and_left_as_it_is() {
    if can_play_another_user() {
        are_refused(&STRANGE).await;
    }
}

/// What each command opens or makes in the folder.
const NAMES: [(&[&str], &[&str]); 6] = [
    (
        &["up", "--ports", "auto"],
        &[
            "usher.lock",
            "run.json",
            "nats.conf",
            "nats.pid",
            "jaeger.pid",
            "nats",
            "nats-key",
            "logs",
            "logs/accounts.log",
            "logs/nats-server.log",
            "mails",
            "admin-token",
            "code-keys",
            "address-keys",
            "fingerprint-key",
            "accounts.sqlite",
            "accounts.sqlite-wal",
            "mailer.sqlite.lock",
        ],
    ),
    (
        &["migrate"],
        &[
            "accounts.sqlite",
            "accounts.sqlite.lock",
            "verification.sqlite-wal",
            "verification.sqlite-shm",
            "mailer.sqlite-journal",
        ],
    ),
    (&["keys", "generate"], &["code-keys"]),
    (
        &["accounts"],
        &[
            "accounts.sqlite",
            "accounts.sqlite.lock",
            "accounts.sqlite-wal",
            "accounts.sqlite-shm",
            "admin-token",
            "fingerprint-key",
        ],
    ),
    (
        &["verification"],
        &["verification.sqlite", "admin-token", "code-keys"],
    ),
    (
        &["mailer"],
        &["mailer.sqlite", "admin-token", "address-keys", "mails"],
    ),
];

#[tokio::test]
async fn a_planted_link_is_not_followed_wherever_it_stands_and_what_it_leads_to_stays() {
    if !can_play_another_user() {
        return;
    }
    for (line, names) in NAMES {
        for name in names {
            let ground = Ground::with_data();
            let link = ground.data().join(name);
            if name.starts_with("logs/") {
                make_folder(&ground.data().join("logs"), 0o700);
            }
            let victim = ground.path("victim");
            match *name {
                "nats" | "logs" | "mails" => make_folder(&victim, 0o700),
                _ => make_file(&victim, "precious", 0o600),
            }
            plant(&link, &victim);
            let before = everything(&victim);
            let said = ground.refusal(line).await;
            assert!(
                said.contains("is a link") && said.contains(name) && said.contains("rm "),
                "{line:?}, {name}: {said}"
            );
            assert!(!said.contains("precious"), "{line:?}, {name}: {said}");
            assert_eq!(everything(&victim), before, "{line:?}, {name}");
        }
    }
}

#[tokio::test]
async fn a_database_a_token_or_a_key_that_others_own_or_read_is_refused_with_what_mends_it() {
    const TEXT: &str = "precious";
    for (line, names) in NAMES {
        for name in names {
            if ["nats", "logs", "mails"].contains(name) || name.starts_with("logs/") {
                continue;
            }
            let ground = Ground::with_data();
            let file = ground.data().join(name);
            make_file(&file, TEXT, 0o644);
            let said = ground.refusal(line).await;
            let mended = said.contains("chmod -R go= ") || said.contains("chmod 600 ");
            assert!(
                said.contains("others may read") && mended && said.contains(name),
                "{line:?}, {name}: {said}"
            );
            assert!(!said.contains(TEXT), "{line:?}, {name}: {said}");
            if !can_play_another_user() {
                continue;
            }
            chmod(&file, 0o600);
            give_to_nobody(&file);
            let said = ground.refusal(line).await;
            assert!(
                said.contains("belongs to user 65534") && said.contains("chown 0 "),
                "{line:?}, {name}: {said}"
            );
            assert_eq!(fs::read_to_string(&file).unwrap(), TEXT, "{line:?}, {name}");
        }
    }
}

#[tokio::test]
async fn a_token_or_a_key_ring_that_makes_no_sense_is_refused_in_one_line_without_what_is_in_it() {
    const SENSELESS: [(&[&str], &str); 6] = [
        (&["accounts"], "admin-token"),
        (&["accounts"], "fingerprint-key"),
        (&["verification"], "code-keys"),
        (&["mailer"], "address-keys"),
        (&["keys", "generate"], "code-keys"),
        (&["up", "--ports", "auto"], "admin-token"),
    ];
    for (line, name) in SENSELESS {
        for text in ["\n", "s3cret\u{0}\u{7}\nhalf a line", "k1:s3cret\n"] {
            if name == "admin-token" && text.starts_with('k') {
                continue; // any printable line may be a token
            }
            if line[0] == "keys" && text.trim().is_empty() {
                continue; // it gets its first key
            }
            let ground = Ground::with_data();
            make_file(&ground.data().join(name), text, 0o600);
            let said = ground.refusal(line).await;
            assert!(!said.contains("s3cret"), "{line:?}, {name}: {said}");
            let last = said.trim_end().lines().last().unwrap_or_default();
            let mends = ["rm ", "sed -i ", "usher keys generate"];
            assert!(
                said.contains(name) && mends.iter().any(|mend| last.contains(mend)),
                "{line:?}, {name}, {text:?}: {said}"
            );
        }
    }
}
