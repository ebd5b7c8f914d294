//! A data folder that a test prepares, the commands that touch one, and another user.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use kit::testing::{SOON, eventually, is_root, skip};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    processes::{STOP, ends_within, signal},
    world::{USHER, usher},
};

/// The user `nobody`.
const NOBODY: u32 = 65534;

/// A command that makes something in the data folder.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) line: &'static [&'static str],
    /// The file that is there once it has made everything; it goes on until it is stopped.
    until: Option<&'static str>,
}

const fn goes_on(line: &'static [&'static str], until: &'static str) -> Maker {
    let until = Some(until);
    Maker { line, until }
}

const fn ends(line: &'static [&'static str]) -> Maker {
    Maker { line, until: None }
}

pub(super) const MAKERS: [Maker; 7] = [
    ends(&["migrate"]),
    ends(&["keys", "generate"]),
    goes_on(&["accounts"], "fingerprint-key"),
    goes_on(&["verification"], "code-keys"),
    goes_on(&["mailer"], "address-keys"),
    goes_on(&["up", "--ports", "auto"], "run.json"),
    ends(&["demo"]),
];

/// Commands that find a running system through its folder.
pub(super) const READERS: [&[&str]; 5] = [
    &["doctor"],
    &["account", "list"],
    &["mail", "list"],
    &["dlq", "list"],
    &["nats", "status"],
];

/// A folder that everybody may look into, with the data folder in it.
pub(super) struct Ground(TempDir);

impl Ground {
    pub(super) fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        fs::set_permissions(around.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(around)
    }

    /// One with an empty data folder of ours.
    pub(super) fn with_data() -> Self {
        let ground = Self::new();
        make_folder(&ground.data(), 0o700);
        ground
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where every command looks for it by default.
    pub(super) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(super) fn command(&self, line: &[&str], umask: &str) -> Command {
        let usher = usher();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(USHER)
            .args(line)
            .env_clear()
            .envs(
                usher
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .envs([
                ("USHER_LISTEN", "127.0.0.1:0"),
                ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
                ("USHER_NATS_URL", "nats://127.0.0.1:1"),
            ])
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that is to be refused and answers with what it said.
    pub(super) async fn refusal(&self, line: &[&str]) -> String {
        let mut command = self.command(line, "022");
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(command);
        let ended = async || running.child().try_wait().unwrap();
        eventually(&format!("the end of {line:?}"), SOON, ended).await;
        let child = running.0.take().unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        assert!(!status.success(), "{line:?} was not refused: {said}");
        said
    }

    /// Runs a maker until everything is made, looks, and ends it.
    pub(super) async fn run(&self, maker: &Maker, umask: &str, mut look: impl FnMut()) {
        let mut command = self.command(maker.line, umask);
        let log = fs::File::create(self.path("said")).unwrap();
        let command = command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut running = Running::start(command);
        let Some(file) = maker.until else {
            let status = ends_within(running.0.take().unwrap(), SOON * 3);
            assert!(status.success(), "{maker:?}: {}", self.said());
            return look();
        };
        let file = self.data().join(file);
        running.until_there_is(&file, || self.said()).await;
        look();
        let child = running.0.take().unwrap();
        signal(child.id(), Signal::TERM);
        ends_within(child, STOP);
        look();
    }

    pub(super) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// What is in the data folder, and is not for its owner only.
    pub(super) fn open_to_others(&self) -> Vec<String> {
        let mut open = everything(&self.data());
        open.retain(|(_, facts)| facts.mode & 0o077 != 0);
        let open = open.iter();
        open.map(|(path, facts)| format!("{} {:04o}", path.display(), facts.mode & 0o7777))
            .collect()
    }

    /// What another user can read of it.
    pub(super) fn readable_by_nobody(&self) -> String {
        let mut find = as_nobody("find");
        let output = find.arg(self.data()).arg("-readable").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A process that is ended with its test.
pub(super) struct Running(Option<Child>);

impl Running {
    pub(super) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Waits for a file; `said` is told where the process ends instead.
    pub(super) async fn until_there_is(&mut self, file: &Path, said: impl Fn() -> String) {
        eventually(&file.display().to_string(), SOON * 2, async || {
            let ended = self.child().try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", said());
            file.exists().then_some(())
        })
        .await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Not by SIGKILL: what it has started ends with it.
            signal(child.id(), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// A program that another user runs.
pub(crate) fn as_nobody(program: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

/// Whether the tests can play another user; says so where they cannot.
pub(super) fn can_play_another_user() -> bool {
    if !is_root() {
        skip(false, ", because only root can play another user");
    }
    is_root()
}

pub(super) fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// A link as another user plants one.
pub(super) fn plant(link: &Path, to: &Path) {
    symlink(to, link).unwrap();
    lchown(link, Some(NOBODY), Some(NOBODY)).unwrap();
}

pub(super) fn make_folder(path: &Path, mode: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn make_file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    mode: u32,
    owner: u32,
    octets: Vec<u8>,
}

/// All that is below a path, itself too; links are not followed.
pub(super) fn everything(path: &Path) -> Vec<(PathBuf, Facts)> {
    // What a running system removes in between is gone.
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Vec::new();
    };
    let facts = Facts {
        mode: metadata.mode(),
        owner: metadata.uid(),
        octets: match metadata.is_file() {
            true => fs::read(path).unwrap_or_default(),
            false => Vec::new(),
        },
    };
    let mut found = vec![(path.to_owned(), facts)];
    if metadata.is_dir() {
        let mut below: Vec<_> = fs::read_dir(path).unwrap().flatten().collect();
        below.sort_by_key(fs::DirEntry::file_name);
        found.extend(below.iter().flat_map(|entry| everything(&entry.path())));
    }
    found
}
