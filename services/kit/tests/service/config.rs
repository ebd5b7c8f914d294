//! Settings: what is refused, and how the refusal reads.

use std::net::SocketAddr;

use insta::assert_snapshot;
use kit::{
    config::{self, SettingsFile},
    db::DatabaseUrl,
};

/// What the test service can be told.
#[derive(Debug, Clone, clap::Args)]
struct Settings {
    /// Where it listens.
    #[arg(
        long,
        env = "USHER_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Its database.
    #[arg(long, env = "USHER_DATABASE_URL", hide_env_values = true)]
    database_url: DatabaseUrl,
    /// How long it waits.
    #[arg(long, env = "USHER_PATIENCE", default_value = "10s", value_parser = config::duration)]
    patience: std::time::Duration,
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    config::from_pairs::<Settings>(pairs)
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_not_set_has_its_default() {
    let settings: Settings = config::from_pairs(&[("USHER_DATABASE_URL", "sqlite:a.db")]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:50051".parse().unwrap());
    assert_eq!(settings.patience.as_secs(), 10);
    assert_eq!(settings.database_url.sqlite_path(), Some("a.db"));
}

#[test]
fn a_refusal_names_the_key_its_value_and_what_is_expected() {
    let database = ("USHER_DATABASE_URL", "sqlite:a.db");
    assert_snapshot!(refusal(&[database, ("USHER_LISTEN", "here")]), @"USHER_LISTEN (from the environment) is `here`: invalid socket address syntax");
    assert_snapshot!(refusal(&[database, ("USHER_PATIENCE", "long")]), @"USHER_PATIENCE (from the environment) is `long`: expected a time such as 500ms, 10s or 24h");
    assert_snapshot!(refusal(&[]), @"USHER_DATABASE_URL is missing: set it in the environment or in the file that USHER_CONFIG names.");
    assert_snapshot!(refusal(&[("USHER_DATABSE_URL", "sqlite:a.db")]), @"USHER_DATABSE_URL is no setting of this service.");
}

#[test]
fn an_empty_variable_is_unset() {
    let settings: Settings = config::from_pairs(&[
        ("USHER_DATABASE_URL", "sqlite:a.db"),
        ("USHER_LISTEN", ""),
        ("USHER_PATIENCE", ""),
    ])
    .unwrap();
    assert_eq!(settings.listen, "127.0.0.1:50051".parse().unwrap());
    assert_eq!(settings.patience.as_secs(), 10);
    let refusal = refusal(&[("USHER_DATABASE_URL", "")]);
    assert!(
        refusal.starts_with("USHER_DATABASE_URL is missing"),
        "{refusal}"
    );
}

#[test]
fn i16_a_refused_secret_is_not_shown() {
    let refusal = |url| refusal(&[("USHER_DATABASE_URL", url)]);
    let told = refusal("mysql://usher:hunter2@db/usher");
    assert!(!told.contains("hunter2"), "{told}");
    assert_snapshot!(told, @"USHER_DATABASE_URL (from the environment) is a value that is not shown here: expected sqlite:PATH (a file) or postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…], user and password percent-encoded");
    let told = refusal("postgres://usher:hunter2#x@db/usher");
    assert!(
        told.contains("percent-encode `#` as %23") && !told.contains("hunter2"),
        "{told}"
    );
    let settings: Settings =
        config::from_pairs(&[("USHER_DATABASE_URL", "postgres://usher:hunter2@db/usher")]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn i16_a_url_in_the_wrong_variable_is_not_shown() {
    let database = ("USHER_DATABASE_URL", "sqlite:a.db");
    for url in ["postgres://usher:hunter2@db/usher", "usher:hunter2@db"] {
        let told = refusal(&[database, ("USHER_LISTEN", url)]);
        assert!(
            told.starts_with("USHER_LISTEN") && !told.contains("hunter2"),
            "{told}"
        );
    }
}

#[test]
fn the_reference_lists_every_setting_with_its_default_and_meaning() {
    assert_snapshot!(config::reference::<Settings>(), @r"
    | variable | default | meaning |
    |---|---|---|
    | `USHER_LISTEN` | `127.0.0.1:50051` | Where it listens |
    | `USHER_DATABASE_URL` | – | Its database |
    | `USHER_PATIENCE` | `10s` | How long it waits |
    ");
}

/// The settings that a file says, with an environment of one variable beside it.
fn read(text: &str, beside: (&str, &str)) -> anyhow::Result<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usher.toml");
    std::fs::write(&path, text).unwrap();
    let file = SettingsFile::read(&path)?;
    let environment = |variable: &str| (variable == beside.0).then(|| beside.1.into());
    config::Settings::find::<Settings>("accounts", environment, Some(&file))?.parse()
}

fn refused(text: &str) -> String {
    let told = format!("{:#}", read(text, ("", "")).unwrap_err());
    let (_, told) = told.split_once("usher.toml, ").expect("the file is named");
    told.to_owned()
}

#[test]
fn one_file_serves_all_services_and_the_environment_wins_over_it() {
    let text = "nats_url = 'nats://a:4222'\npatience = '1s'\nlisten = '127.0.0.1:1'\n\
                [accounts]\ndatabase_url = 'sqlite:a.db'\nlisten = ''\n[mailer]\nx = 1\n";
    let settings = read(text, ("USHER_PATIENCE", "2s")).unwrap();
    assert_eq!(settings.patience.as_secs(), 2, "the environment wins");
    assert_eq!(settings.database_url.sqlite_path(), Some("a.db"));
    // An empty text is unset, also where the top level says something.
    assert_eq!(settings.listen, "127.0.0.1:50051".parse().unwrap());
    let settings = read(text, ("", "")).unwrap();
    assert_eq!(
        settings.patience.as_secs(),
        1,
        "nats_url, which this one lacks, was passed over"
    );
}

#[test]
fn a_wrong_name_in_the_file_is_told_with_its_line_and_the_nearest_one() {
    let database = "[accounts]\ndatabase_url = 'sqlite:a.db'\n";
    assert_snapshot!(refused("patiense = '1s'\n"), @"line 1: `patiense` is no setting of accounts; did you mean `patience`?");
    assert_snapshot!(refused(&format!("{database}theatre = '1s'\n")), @"line 3: `theatre` is no setting of accounts; docs/settings.md lists all of them.");
    // In its own table each name must be right.
    assert_snapshot!(refused(&format!("{database}nats_url = 'nats://a:4222'\n")), @"line 3: `nats_url` is no setting of accounts; docs/settings.md lists all of them.");
    assert_snapshot!(refused("[acounts]\n"), @"line 1: there is no table [acounts]; did you mean [accounts]?");
    assert_snapshot!(refused("[theatre]\n"), @"line 1: there is no table [theatre]; there are [accounts], [verification] and [mailer].");
    assert_snapshot!(refused("\nmailer = 1\n"), @"line 2: `mailer` must be a table, written as [mailer].");
    assert_snapshot!(refused("[accounts]\npatience = { s = 1 }\n"), @"line 2: `patience` must be a text in quotes, a number, or a list of texts.");
}

#[test]
fn i16_nothing_of_a_file_that_cannot_be_read_is_quoted() {
    let broken = [
        "database_url = postgres://usher:hunter2@db/usher\n",
        "database_url = 'postgres://usher:hunter2@db/usher\n",
        "database_url = \"postgres://usher:hunter2\\q@db/usher\"\n",
        "database_url = 'a'\ndatabase_url = 'hunter2'\n",
        "database_url.x = 1\ndatabase_url = 'hunter2'\n",
        "hunter2\n",
        "hunter2 = [1\n",
        "'postgres://usher:hunter2@db' = 1\n",
        "['postgres://usher:hunter2@db']\n",
        "[[accounts]]\ndatabase_url = 'hunter2'\n",
        "[accounts]\ndatabase_url = [{ hunter2 = 'hunter2' }]\n",
    ];
    for text in broken {
        let told = refused(text);
        assert!(
            told.starts_with("line ") && !told.contains("hunter2"),
            "{text}: {told}"
        );
        assert!(!told.contains('\n'), "{told}");
    }
}
