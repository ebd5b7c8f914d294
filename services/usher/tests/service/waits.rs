//! `--wait`: what starts beside a command need not be there before it; and secrets that stand in
//! files.

use std::{fs, path::Path, process::Stdio, time::Instant};

use kit::testing::{NatsServer, Postgres, SOON, eventually};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::world::{refusal, usher};

/// A command that goes on, and what it says.
struct Going {
    child: Child,
    said: std::path::PathBuf,
}

impl Going {
    fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let said = folder.join(name);
        let log = fs::File::create(&said).unwrap();
        let mut command = Command::from(usher());
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        Self {
            child: command.spawn().unwrap(),
            said,
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    async fn says(&self, word: &str) {
        let says = async || self.said().contains(word).then_some(());
        eventually(word, SOON, says).await;
    }

    /// Waits for its end, which must be a good one.
    async fn ends_well(mut self) {
        let status = self.child.wait().await.unwrap();
        assert!(status.success(), "{status}: {}", self.said());
    }
}

/// Writes what only its owner may read, whole or not at all.
fn write(path: &Path, text: &str) {
    kit::files::replace(path, text).unwrap();
}

#[tokio::test]
async fn five_migrators_wait_for_url_password_and_database_and_apply_each_step_once() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    postgres.ask_for_passwords_of("pod").await;
    let folder = kit::testing::folder();
    let url = folder.path().join("database-url");
    let of_pod = |password: &str| {
        let url = postgres.url("waited_for");
        url.replace("usher@", &format!("pod:{password}@"))
    };
    let file = format!("--database-url-file={}", url.display());
    let mut all = Vec::new();
    for number in 0..5 {
        let migrate = ["migrate", "--service", "accounts", &file, "--wait", "1m"];
        all.push(Going::start(
            folder.path(),
            &format!("migrate{number}"),
            &migrate,
        ));
    }
    // As the service's own init container.
    let status = [
        "migrate",
        "status",
        "--service",
        "accounts",
        &file,
        "--wait",
    ];
    all.push(Going::start(folder.path(), "status", &status));
    let all_say = async |word: &str| {
        for one in &all {
            one.says(word).await;
        }
    };
    all_say("there is no such file").await;
    write(&url, &of_pod("wrong"));
    all_say("refuses the login").await;
    let role = "CREATE ROLE pod SUPERUSER LOGIN PASSWORD 'right'";
    postgres.run("postgres", role).await;
    write(&url, &of_pod("right"));
    all_say("the server has no such database").await;
    postgres.database("waited_for").await;
    for one in all {
        let said = one.said();
        assert!(!said.contains("right") && !said.contains("wrong"), "{said}");
        one.ends_well().await;
    }
    let applied = "SELECT (count(*) = count(DISTINCT version))::text FROM seaql_migrations";
    assert_eq!(postgres.run("waited_for", applied).await, "true");
}

#[tokio::test]
async fn streams_are_provisioned_as_soon_as_the_broker_is_there() {
    let mut nats = NatsServer::start().await;
    nats.stop();
    let folder = kit::testing::folder();
    let url = nats.url();
    let provision = ["nats", "provision", "--nats-url", &url, "--wait"];
    let provision = Going::start(folder.path(), "provision", &provision);
    provision.says("nats-server does not answer").await;
    nats.restart().await;
    provision.ends_well().await;
    let bus = nats.provision().await;
    assert!(kit::bus::look(&bus).await.is_none());
}

#[tokio::test]
async fn a_wait_in_vain_ends_in_time_with_5_and_says_what_is_missing() {
    let Some(postgres) = Postgres::shared().await else {
        return;
    };
    let empty = format!(
        "--database-url={}",
        postgres.database("never_migrated").await
    );
    let nowhere = "--database-url=postgres://pod@127.0.0.1:1/pod";
    let service = ["--service", "mailer", "--wait=1s"];
    for (arguments, word) in [
        (
            [&["migrate", nowhere], &service[..]].concat(),
            "does not answer",
        ),
        (
            [&["migrate", "status", &empty], &service[..]].concat(),
            "not current",
        ),
        (
            vec![
                "nats",
                "provision",
                "--nats-url=nats://127.0.0.1:1",
                "--wait=1s",
            ],
            "does not answer",
        ),
    ] {
        let began = Instant::now();
        let mut command = usher();
        command.args(&arguments).args(["--output", "json"]);
        let output = Command::from(command).output().await.unwrap();
        let (code, error) = refusal(&output);
        assert_eq!(code, 5, "{arguments:?}: {error}");
        assert!(error["message"].to_string().contains(word), "{error}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

/// `usher` in that folder with these variables, and its answer for programs.
fn told(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, Value) {
    let mut command = usher();
    command
        .args(arguments)
        .args(["--output", "json"])
        .current_dir(folder)
        .envs(environment.iter().copied());
    let output = command.output().unwrap();
    match output.status.success() {
        true => (0, serde_json::from_slice(&output.stdout).unwrap()),
        false => refusal(&output),
    }
}

#[test]
fn a_secret_is_shown_by_its_file_and_refused_where_it_stands_in_two_places() {
    let folder = kit::testing::folder();
    let (database, mail) = (
        ("USHER_DATABASE_URL_FILE", "/etc/usher/database-url"),
        ("USHER_MAIL_URL_FILE", "/etc/usher/mail-url"),
    );
    let (code, shown) = told(folder.path(), &["config", "mailer"], &[database, mail]);
    assert_eq!(code, 0, "{shown}");
    for (setting, file) in [
        ("USHER_DATABASE_URL", database.1),
        ("USHER_MAIL_URL", mail.1),
    ] {
        let held = shown["mailer"].as_array().unwrap();
        let row = held.iter().find(|row| row["setting"] == setting).unwrap();
        assert_eq!(row["value"], format!("set (file {file})"));
        assert_eq!(row["from"], "environment");
    }

    let secret = "postgres://pod:S3cretPw@db/pod";
    let url = ("USHER_DATABASE_URL", secret);
    for (arguments, environment) in [
        (&["mailer"][..], &[database, url][..]),
        (&["config", "mailer"], &[database, url]),
        (&["mailer", "--database-url", secret], &[database]),
        (&["mailer", "--mail-url", "file:mails"], &[mail]),
        (&["migrate", "--service", "mailer"], &[database, url]),
        (
            &["migrate", "--service", "mailer", "--database-url", secret],
            &[database],
        ),
    ] {
        let (code, error) = told(folder.path(), arguments, environment);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("both set"), "{arguments:?}: {message}");
        assert!(!message.contains("S3cretPw"), "{message}");
    }
    let (code, error) = told(folder.path(), &["migrate", "--service", "mailer"], &[]);
    assert_eq!(code, 2, "{error}");
    assert!(
        error["message"].to_string().contains("--database-url-file"),
        "{error}"
    );
}
