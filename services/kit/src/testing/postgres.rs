//! A real PostgreSQL in a temporary directory, one for a test binary; each test has a database of
//! its own in it.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{eventually, free_port};

const START: Duration = Duration::from_secs(30);

/// What survives nothing needs no care, and is several times faster without.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
];

/// Ends the server and deletes its files when standard input closes.
// The pipe closes even when the test process is killed, or never drops its static.
const GUARD: &str = r#"files=$1; shift; "$@" & server=$!; read -r _; kill -QUIT $server; wait $server; rm -rf "$files""#;

/// A running PostgreSQL; stopped on drop, its files deleted.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    port: u16,
    process: Child,
}

impl Postgres {
    /// Starts a server on a free port, or says on standard error why the tests that need one are
    /// skipped; in CI none is skipped. PostgreSQL is found on PATH or where Debian installs it; it
    /// refuses to run as root, so root runs it as `postgres` or `nobody`.
    ///
    /// # Panics
    /// When it does not start and `CI` is set.
    pub async fn start() -> Option<Self> {
        match Self::try_start().await {
            Ok(server) => Some(server),
            Err(reason) => {
                let in_ci = env::var_os("CI").is_some();
                assert!(!in_ci, "CI runs the tests on PostgreSQL, too: {reason}");
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                // Not `eprintln!`: the test harness swallows that of tests that pass.
                let _ = writeln!(
                    io::stderr(),
                    "skipped: {test} on PostgreSQL, because {reason}"
                );
                None
            }
        }
    }

    /// The server that all tests of this binary share.
    pub async fn shared() -> Option<&'static Self> {
        static SERVER: OnceCell<Option<Postgres>> = OnceCell::const_new();
        SERVER.get_or_init(Self::start).await.as_ref()
    }

    /// Makes an empty database and returns what goes into `USHER_DATABASE_URL`.
    ///
    /// # Panics
    /// When the name is taken or no plain identifier.
    pub async fn database(&self, name: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(
            name.bytes().all(plain),
            "{name:?} is no plain name of a database"
        );
        let admin = Database::connect(self.url("postgres"))
            .await
            .expect("the server takes connections");
        let made = admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await;
        made.expect("the database can be made");
        admin.close().await.expect("a connection can be closed");
        self.url(name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://usher@127.0.0.1:{}/{database}", self.port)
    }

    async fn try_start() -> Result<Self, String> {
        let programs = programs().ok_or("initdb is neither on PATH nor in /usr/lib/postgresql")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = directory.path().join("data");
        let user = owner(directory.path())?;
        let mut initdb = as_user(user);
        initdb.arg(programs.join("initdb")).args([
            "--auth=trust",
            "--username=usher",
            "--encoding=UTF8",
        ]);
        initdb
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data)
            .stdin(Stdio::null());
        let output = initdb
            // The user who runs it may not be allowed where the test runs.
            .current_dir("/")
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!(
                "initdb failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let port = free_port();
        let log = directory.path().join("log");
        let mut server = as_user(user);
        server
            .args(["sh", "-c", GUARD, "guard"])
            .arg(directory.path());
        server.arg(programs.join("postgres")).arg("-D").arg(&data);
        server
            .args(["-p", &port.to_string()])
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let output = fs::File::create(&log).map_err(|error| error.to_string())?;
        server
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(output);
        let process = server.spawn().map_err(|error| error.to_string())?;
        let server = Self {
            directory,
            port,
            process,
        };
        let connect = async || {
            let log = fs::read_to_string(server.directory.path().join("log")).unwrap_or_default();
            // Its own word in the log: a port that is open may still answer that it starts up.
            log.contains("ready to accept connections").then_some(())
        };
        eventually("PostgreSQL to listen", START, connect).await;
        Ok(server)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
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
    let output = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .map_err(|error| error.to_string())
    };
    if output("id", &["-u"])?.stdout != b"0\n" {
        return Ok(None);
    }
    let known =
        |user: &&str| output("id", &["-u", user]).is_ok_and(|output| output.status.success());
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

fn as_user(user: Option<&str>) -> Command {
    let Some(user) = user else {
        // A program that changes nothing, so that both cases are built alike.
        return Command::new("env");
    };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={user}"))
        .args(["--clear-groups", "--"]);
    command
}
