//! Settings: what is refused, and how the refusal reads.

use std::net::SocketAddr;

use clap::{Args as _, FromArgMatches as _};
use insta::assert_snapshot;
use kit::{config, db::DatabaseUrl};

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
    assert_snapshot!(refusal(&[database, ("USHER_LISTEN", "here")]), @"USHER_LISTEN (from the configuration file or the command line) is `here`: invalid socket address syntax");
    assert_snapshot!(refusal(&[database, ("USHER_PATIENCE", "long")]), @"USHER_PATIENCE (from the configuration file or the command line) is `long`: expected a time such as 500ms, 10s or 24h");
    assert_snapshot!(refusal(&[]), @"USHER_DATABASE_URL is missing: set it in the environment or in the file that USHER_CONFIG names.");
    assert_snapshot!(refusal(&[("USHER_DATABSE_URL", "sqlite:a.db")]), @"USHER_DATABSE_URL is no setting of this service.");
}

#[test]
fn i16_a_refused_secret_is_not_shown() {
    let refusal = refusal(&[("USHER_DATABASE_URL", "mysql://usher:hunter2@db/usher")]);
    assert!(!refusal.contains("hunter2"), "{refusal}");
    assert_snapshot!(refusal, @"USHER_DATABASE_URL (from the configuration file or the command line) is a value that is not shown here: expected sqlite:PATH (a file) or postgres://USER@HOST/DATABASE");
    let settings: Settings =
        config::from_pairs(&[("USHER_DATABASE_URL", "postgres://usher:hunter2@db/usher")]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
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

#[test]
fn one_file_serves_all_services_and_a_wrong_name_in_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usher.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let command = Settings::augment_args(clap::Command::new("test").no_binary_name(true));
        config::with_file(command, &path, "test").map(|command| {
            Settings::from_arg_matches(&command.try_get_matches_from([""; 0]).unwrap()).unwrap()
        })
    };
    let shared = "nats_url = 'nats://a:4222'\npatience = '1s'\n";
    let settings = read(&format!(
        "{shared}[test]\ndatabase_url = 'sqlite:a.db'\n[other]\nx = 1\n"
    ))
    .unwrap();
    assert_eq!(
        settings.patience.as_secs(),
        1,
        "nats_url, which this one does not have, was passed over"
    );
    let refusal = read("patiense = '1s'\n").unwrap_err().to_string();
    assert!(
        refusal.contains("usher.toml sets `patiense`, which is no setting of test"),
        "{refusal}"
    );
    assert!(
        read("[test]\nnats_url = 'nats://a:4222'\n").is_err(),
        "in its own table each name must be right"
    );
    let quoted = read("database_url = postgres://usher:hunter2@db/usher\n").unwrap_err();
    let refusal = format!("{quoted:#}");
    assert!(
        refusal.contains("usher.toml is not valid TOML: line 1: ") && !refusal.contains("hunter2"),
        "{refusal}"
    );
}
