//! No refused setting is quoted, whoever set it and whoever words the refusal.

use super::{SECRET, file, folder, json, run, sentence, told};
use crate::world::usher;

/// URLs that lose a part of their password, or have another slip: which setting, what, and a word
/// that its refusal must hold.
const REFUSED: [(&str, &str, &str); 17] = [
    (
        "database-url",
        "postgres://usher:S3cretPw#x@db/accounts",
        "%23",
    ),
    (
        "database-url",
        "postgres://usher:S3cretPw/x@db/accounts",
        "%2F",
    ),
    (
        "database-url",
        "postgres://usher:S3cretPw?x@db/accounts",
        "%3F",
    ),
    // What stands before the character would pass for a port.
    (
        "database-url",
        "postgres://usher:12#S3cretPw@db/accounts",
        "%23",
    ),
    (
        "database-url",
        "postgres://usher:12/S3cretPw@db/accounts",
        "%2F",
    ),
    (
        "database-url",
        "postgres://usher:12?S3cretPw=x@db/accounts",
        "%3F",
    ),
    (
        "database-url",
        "postgres://usher:S3cretPw@db:99999/accounts",
        "port",
    ),
    (
        "database-url",
        "postgres://usher:S3cretPw@db/accounts?S3cretPw=S3cretPw",
        "sslmode",
    ),
    (
        "database-url",
        "postgres://usher:S3cretPw%zz@db/accounts",
        "%25",
    ),
    (
        "database-url",
        "postgres//usher:S3cretPw@db/accounts",
        "postgres://",
    ),
    ("nats-url", "nats://usher:S3cretPw#x@broker", "%23"),
    ("nats-url", "nats://usher:S3cretPw@broker:99999", "port"),
    ("mail-url", "smtp://usher:S3cretPw/x@relay", "%2F"),
    ("mail-url", "smtp://usher:S3cretPw@relay:99999", "port"),
    ("mail-url", "smtp:usher:S3cretPw@relay", "smtp://"),
    (
        "mailer-url",
        "http://usher:S3cretPw@mailer:50053",
        "http://HOST:PORT",
    ),
    (
        "public-url",
        "https://usher:S3cretPw@usher.example",
        "https://HOST",
    ),
];

fn variable(flag: &str) -> String {
    format!("USHER_{}", flag.replace('-', "_").to_uppercase())
}

/// The service that has such a setting.
fn owner(flag: &str) -> &'static str {
    match flag {
        "mail-url" | "public-url" => "mailer",
        "mailer-url" => "verification",
        _ => "accounts",
    }
}

#[test]
fn i16_no_refused_url_is_quoted_whoever_set_it_and_whoever_words_the_refusal() {
    let folder = folder();
    for (flag, url, word) in REFUSED {
        let (service, variable) = (owner(flag), variable(flag));
        let key = flag.replace('-', "_");
        let path = file(&folder, &format!("\n[{service}]\n{key} = '{url}'\n"));

        let mut by_flag = json(&folder);
        by_flag.arg(service).arg(format!("--{flag}={url}"));
        let message = sentence(by_flag, word);
        assert!(
            message.contains(&format!("{variable} (from the command line)")),
            "{message}"
        );

        let mut by_environment = json(&folder);
        by_environment.arg(service).env(&variable, url);
        let message = sentence(by_environment, word);
        assert!(
            message.contains(&format!("{variable} (from the environment)")),
            "{message}"
        );

        for command in [&[service][..], &["config", service]] {
            let mut by_file = json(&folder);
            by_file.args(command).env("USHER_CONFIG", &path);
            let message = sentence(by_file, word);
            let place = format!("{variable} (from {}, line 3)", path.display());
            assert!(message.contains(&place), "{message}");
        }
    }
}

#[test]
fn i16_commands_that_are_no_services_quote_no_refused_url_either() {
    let folder = folder();
    let (database, word) = ("postgres://usher:S3cretPw#x@db/accounts", "%23");
    for arguments in [
        &["migrate", "--service", "accounts"][..],
        &["migrate", "status", "--service", "accounts"],
    ] {
        let mut by_flag = json(&folder);
        by_flag
            .args(arguments)
            .arg(format!("--database-url={database}"));
        sentence(by_flag, word);
        let mut by_environment = json(&folder);
        by_environment
            .args(arguments)
            .env("USHER_DATABASE_URL", database);
        sentence(by_environment, word);
    }
    let places = [
        ("nats-url", "nats://usher:S3cretPw#x@broker", word),
        (
            "accounts-url",
            "http://usher:S3cretPw@accounts:50051",
            "http://HOST:PORT",
        ),
        (
            "mailer-admin-url",
            "http://S3cretPw@mailer:99999",
            "http://HOST:PORT",
        ),
    ];
    for (flag, url, word) in places {
        for arguments in [&["doctor"][..], &["nats", "status"], &["account", "list"]] {
            let mut by_flag = json(&folder);
            by_flag.args(arguments).arg(format!("--{flag}={url}"));
            sentence(by_flag, word);
            let mut by_environment = json(&folder);
            by_environment.args(arguments).env(variable(flag), url);
            sentence(by_environment, word);
        }
    }
    // A URL that stands where none belongs, in words of the library that reads the command line.
    for arguments in [
        &["accounts", database][..],
        &[database],
        &["up", "--ports", database],
        &["doctor", database],
    ] {
        let mut stray = json(&folder);
        stray.args(arguments);
        let output = run(&mut stray);
        assert_eq!(output.status.code(), Some(2), "{stray:?}");
        assert!(
            !told(&output).contains(SECRET),
            "{stray:?}: {}",
            told(&output)
        );
    }
}

#[test]
fn i16_help_shows_no_secret_of_environment_or_file() {
    let folder = folder();
    let url = "postgres://usher:S3cretPw@db/accounts";
    let path = file(&folder, &format!("[accounts]\ndatabase_url = '{url}'\n"));
    for variable in [
        ("USHER_DATABASE_URL", url),
        ("USHER_CONFIG", &path.display().to_string()),
    ] {
        let output = run(usher().args(["accounts", "--help"]).envs([variable]));
        assert!(output.status.success(), "{}", told(&output));
        assert!(!told(&output).contains(SECRET), "{}", told(&output));
    }
}

#[test]
fn i16_usher_up_refuses_a_url_before_anything_starts() {
    let folder = folder();
    for (flag, url, word) in REFUSED.iter().filter(|(flag, ..)| owner(flag) == "mailer") {
        let path = file(
            &folder,
            &format!("[mailer]\n{} = '{url}'\n", flag.replace('-', "_")),
        );
        for setting in [
            (variable(flag), (*url).to_owned()),
            ("USHER_CONFIG".to_owned(), path.display().to_string()),
        ] {
            for command in ["up", "demo"] {
                let mut up = json(&folder);
                up.arg(command).envs([setting.clone()]);
                sentence(up, word);
            }
        }
    }
    assert!(!folder.path().join("data").exists(), "nothing was started");
}
