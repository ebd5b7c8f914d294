//! A real PostgreSQL in a temporary directory, one for a test binary; each test has a database of
//! its own in it.

mod files;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, DbErr, Statement};
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use files::PostgresFiles;

use super::{eventually, free_port, skip};

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
        Self::try_start()
            .await
            .map_err(|reason| skipped(&reason))
            .ok()
    }

    /// The server that all tests of this binary share.
    pub async fn shared() -> Option<&'static Self> {
        static SERVER: OnceCell<Result<Postgres, String>> = OnceCell::const_new();
        let started = SERVER.get_or_init(Self::try_start).await.as_ref();
        // Each test for itself: it is tried once, and every one of them is skipped.
        started.map_err(|reason| skipped(reason)).ok()
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
        let made = create_database(self.port, name).await;
        made.expect("the database can be made")
    }

    /// What goes into `USHER_DATABASE_URL` for the superuser, from whom no password is asked; whether
    /// there is such a database or not.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Runs statements in a database, `postgres` for those on the server, and answers with the first
    /// text that they answer with.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn run(&self, database: &str, sql: &str) -> String {
        let connected = Database::connect(self.url(database)).await;
        let connected = connected.expect("the database answers");
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = connected.query_one_raw(statement).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let _ = connected.close().await;
        row.and_then(|row| row.try_get_by_index(0).ok())
            .unwrap_or_default()
    }

    /// From now on everybody who logs in as `role` is asked for a password.
    pub async fn ask_for_passwords_of(&self, role: &str) {
        let file = self
            .run("postgres", "SELECT current_setting('hba_file')")
            .await;
        let rules = format!(
            "VALUES (1, 'host all {role} all scram-sha-256'), (2, 'host all all all trust')"
        );
        let rules = format!("SELECT line FROM ({rules}) AS rules(number, line) ORDER BY number");
        self.run("postgres", &format!("COPY ({rules}) TO '{file}'"))
            .await;
        self.run("postgres", "SELECT pg_reload_conf()").await;
    }

    async fn try_start() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let files = PostgresFiles::make(directory.path())?;
        let port = free_port();
        let log = directory.path().join("log");
        let mut server = Command::new("env");
        server
            .args(files.runner())
            .args(["sh", "-c", GUARD, "guard"])
            .arg(directory.path())
            .args(files.server(port, &SETTINGS));
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

fn skipped(reason: &str) {
    skip(true, &format!(" on PostgreSQL, because {reason}"));
}

/// Makes an empty database on a server of this machine and returns what goes into
/// `USHER_DATABASE_URL`.
///
/// # Errors
/// When the server takes no connections, or the name is taken.
pub async fn create_database(port: u16, name: &str) -> Result<String, DbErr> {
    let admin = Database::connect(url(port, "postgres")).await?;
    let statement = format!("CREATE DATABASE {name}");
    admin.execute_unprepared(&statement).await?;
    admin.close().await?;
    Ok(url(port, name))
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://usher@127.0.0.1:{port}/{database}")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
