//! Private files and folders: what is refused, in which words, and what is made.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use kit::files::{self, Draft, PrivateFolder};
use tempfile::TempDir;

fn folder() -> (TempDir, PrivateFolder) {
    let around = kit::testing::folder();
    let folder = PrivateFolder::make(&around.path().join("ours")).unwrap();
    (around, folder)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_folder_in_which_everybody_may_write_is_not_walked_through_unless_it_is_sticky() {
    let around = kit::testing::folder();
    let open = around.path().join("open");
    fs::DirBuilder::new().mode(0o700).create(&open).unwrap();
    chmod(&open, 0o777);
    let refused = PrivateFolder::make(&open.join("ours")).unwrap_err();
    assert!(
        refused.what().contains("everybody may write to"),
        "{refused}"
    );
    assert_eq!(refused.mend(), format!("Run: chmod o-w {}", open.display()));
    let refused = files::read_or_make(&open.join("token"), "The token", String::new);
    assert!(
        refused
            .unwrap_err()
            .what()
            .contains("everybody may write to")
    );
    chmod(&open, 0o1777);
    PrivateFolder::make(&open.join("ours")).unwrap();
}

#[test]
fn what_is_no_file_is_not_opened_and_nobody_waits_for_it() {
    let (_around, ours) = folder();
    let made = std::process::Command::new("mkfifo")
        .arg(ours.path().join("pipe"))
        .args(["-m", "600"])
        .status();
    assert!(made.unwrap().success());
    for refused in [
        ours.read("pipe").unwrap_err(),
        ours.append("pipe").unwrap_err(),
        files::read(&ours.path().join("pipe")).unwrap_err(),
        ours.check_all().unwrap_err(),
    ] {
        assert!(refused.what().ends_with("pipe is no file"), "{refused}");
    }
}

#[test]
fn a_file_that_is_written_in_place_has_one_name() {
    let (around, ours) = folder();
    let precious = around.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    chmod(&precious, 0o600);
    fs::hard_link(&precious, ours.path().join("log")).unwrap();
    let refused = ours.append("log").unwrap_err();
    assert!(refused.what().contains("second name"), "{refused}");
    ours.replace("log", b"new").unwrap();
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    ours.append("log").unwrap().write_all(b"er").unwrap();
    assert_eq!(ours.read("log").unwrap().unwrap(), b"newer");
}

#[test]
fn a_draft_is_seen_whole_or_not_at_all_and_leaves_nothing_behind() {
    let (_around, ours) = folder();
    let names = || fs::read_dir(ours.path()).unwrap().count();
    drop(ours.draft("file").unwrap().write(b"half").unwrap());
    assert_eq!(names(), 0);
    let first = ours.draft("file").unwrap().write(b"first").unwrap();
    assert!(first.keep_if_first().unwrap());
    let second = ours.draft("file").unwrap().write(b"second").unwrap();
    assert!(!second.keep_if_first().unwrap());
    assert_eq!(ours.read("file").unwrap().unwrap(), b"first");
    let third = ours.draft("file").unwrap().write(b"third");
    third.and_then(Draft::sync).and_then(Draft::keep).unwrap();
    assert_eq!(ours.read("file").unwrap().unwrap(), b"third");
    assert_eq!((names(), mode(&ours.path().join("file"))), (1, 0o600));
}

#[test]
fn a_named_file_is_read_through_our_own_links_and_replaced_where_it_lies() {
    let (around, ours) = folder();
    let link = around.path().join("link");
    symlink("ours/token", &link).unwrap();
    let made = files::read_or_make(&link, "The token", || "made".to_owned());
    assert_eq!(made.unwrap(), "made");
    files::replace(&link, "replaced").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(ours.read("token").unwrap().unwrap(), b"replaced");
    assert_eq!(files::read(&link).unwrap(), "replaced");
    let circle = around.path().join("circle");
    symlink("circle", &circle).unwrap();
    let refused = files::read(&circle).unwrap_err();
    assert!(refused.what().contains("too many links"), "{refused}");
}

#[test]
fn two_that_make_the_same_secret_at_once_have_the_same_one() {
    let (around, _ours) = folder();
    let path = around.path().join("secrets/key");
    let make = |number: usize| {
        let path = path.clone();
        std::thread::spawn(move || {
            files::read_or_make(&path, "The key", || format!("secret {number}")).unwrap()
        })
    };
    // As two threads they share a process id, which processes do not: one at a time is made here.
    let read: Vec<_> = (0..4).map(|number| make(number).join().unwrap()).collect();
    assert_eq!(read, ["secret 0"; 4]);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn on_a_volume_that_is_everybodys_what_is_ours_lies_in_a_folder_of_ours() {
    let around = kit::testing::folder();
    let volume = around.path().join("volume");
    fs::create_dir(&volume).unwrap();
    chmod(&volume, 0o777);
    let ours = PrivateFolder::make_in(&volume, "mails").unwrap();
    ours.append("mail").unwrap();
    let made = ours.path();
    assert_eq!((mode(made), mode(&made.join("mail"))), (0o700, 0o600));
    assert_eq!(mode(&volume), 0o777, "it is somebody else's");
    // What others may have put there is not used.
    chmod(made, 0o755);
    let refused = PrivateFolder::make_in(&volume, "mails").unwrap_err();
    assert!(refused.what().starts_with("others may read"), "{refused}");
    symlink(made, volume.join("link")).unwrap();
    let refused = PrivateFolder::make_in(&volume, "link").unwrap_err();
    assert!(refused.what().contains("is a link"), "{refused}");
}
