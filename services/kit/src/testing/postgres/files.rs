//! What a server of PostgreSQL needs on disk, and how it is run: as root never.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::testing::is_root;

/// The files of one server, made by `initdb`; nobody runs it yet.
#[derive(Debug, Clone)]
pub struct PostgresFiles {
    programs: PathBuf,
    data: PathBuf,
    runner: Vec<String>,
}

impl PostgresFiles {
    /// Makes them in a folder, which belongs to the user that runs the server from now on.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or nobody to run it as; in words.
    pub fn make(directory: &Path) -> Result<Self, String> {
        let programs = programs().ok_or("initdb is neither on PATH nor in /usr/lib/postgresql")?;
        let runner = match owner(directory)? {
            Some(user) => vec![
                "setpriv".to_owned(),
                format!("--reuid={user}"),
                "--clear-groups".to_owned(),
                "--".to_owned(),
            ],
            None => Vec::new(),
        };
        let data = directory.join("data");
        let mut initdb = Command::new("env");
        initdb
            .args(&runner)
            .arg(programs.join("initdb"))
            .args(["--auth=trust", "--username=usher", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .stdin(Stdio::null());
        // The user who runs it may not be allowed where the test runs.
        let output = initdb.current_dir("/").output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("initdb failed: {}", said.trim()));
        }
        Ok(Self {
            programs,
            data,
            runner,
        })
    }

    /// What stands before a command line so that the files' owner runs it; nothing where that is
    /// who runs this.
    pub fn runner(&self) -> &[String] {
        &self.runner
    }

    /// Program and arguments of the server, as `NAME=VALUE` sets it up.
    pub fn server(&self, port: u16, settings: &[&str]) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec![self.programs.join("postgres").into()];
        line.extend(["-D".into(), self.data.clone().into()]);
        line.extend(["-p".into(), port.to_string().into()]);
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        line.extend(settings.map(OsString::from));
        line
    }
}

/// Where `initdb` and `postgres` are; of Debian's versions the newest.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|folder| folder.join("postgres").is_file());
    let version = |folder: &PathBuf| {
        folder
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse::<u32>().ok())
    };
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut debian: Vec<_> = debian.map(|entry| entry.path()).collect();
    debian.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    let debian = debian.into_iter().map(|folder| folder.join("bin"));
    on_path
        .chain(debian)
        .find(|folder| folder.join("initdb").is_file())
}

/// For root: a user who may run PostgreSQL and owns the directory from now on. For everybody else:
/// nobody new.
fn owner(directory: &Path) -> Result<Option<&'static str>, String> {
    if !is_root() {
        return Ok(None);
    }
    let known = |user: &&str| {
        let asked = Command::new("id")
            .args(["-u", user])
            .stderr(Stdio::null())
            .output();
        asked.is_ok_and(|output| output.status.success())
    };
    let user = ["postgres", "nobody"]
        .into_iter()
        .find(known)
        .ok_or("root has no other user to run it as")?;
    let changed = Command::new("chown").arg(user).arg(directory).status();
    let opened = fs::set_permissions(directory, fs::Permissions::from_mode(0o755));
    if changed.is_ok_and(|status| status.success()) && opened.is_ok() {
        Ok(Some(user))
    } else {
        Err(format!("the temporary directory cannot be given to {user}"))
    }
}
