//! How settings are found and refused: one way for every command, nothing passed over without a
//! word, and no secret in a refusal, whoever words it.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use kit::config::{Settings, SettingsFile};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, refusal, usher};

/// Stands in every URL that is refused below, behind a character that ends a URL's part too early.
const SECRET: &str = "S3cretPw";

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

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("usher.toml");
    fs::write(&path, text).expect("the folder can be written");
    path
}

/// `usher` with its data in `folder`, and answers for programs.
fn json(folder: &TempDir) -> Command {
    let mut command = usher();
    command
        .current_dir(folder.path())
        .args(["--output", "json", "--data"])
        .arg(folder.path().join("data"));
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("usher can be run")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// What a refused command says, as one line without the secret; it must hold `word`.
fn sentence(mut command: Command, word: &str) -> String {
    let output = run(&mut command);
    let all = told(&output);
    assert!(!all.contains(SECRET), "{command:?}: {all}");
    let (code, error) = refusal(&output);
    assert_eq!(code, 2, "{command:?}: {all}");
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(word), "no {word} in {message:?}");
    assert!(!message.contains('\n'), "{message:?}");
    message
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

#[test]
fn the_file_is_read_wherever_flags_stand() {
    let folder = folder();
    let path = file(&folder, "[accounts]\nsign_up_batch = 0\n");
    let data = folder.path().join("data").display().to_string();
    for arguments in [
        &["accounts"][..],
        &["--data", &data, "accounts"],
        &["accounts", "--data", &data],
        &["--output=json", "--data", &data, "accounts"],
        &["accounts", "--log-format", "json"],
    ] {
        let output = run(usher().args(arguments).env("USHER_CONFIG", &path));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            told(&output)
        );
        let place = format!(
            "USHER_SIGN_UP_BATCH (from {}, line 2) is `0`",
            path.display()
        );
        assert!(
            told(&output).contains(&place),
            "{arguments:?}: {}",
            told(&output)
        );
    }
}

#[test]
fn a_misspelt_table_or_key_of_the_file_is_refused_with_the_nearest_name() {
    let folder = folder();
    // What stands in the file, where the slip is, what is meant, and whom it stops besides `up`.
    let slips = [
        (
            "[acounts]\nlisten = '127.0.0.1:1'\n",
            "line 1",
            "[accounts]",
            "accounts",
        ),
        ("[mailer]\n[Accounts]\n", "line 2", "[accounts]", "mailer"),
        (
            "[accounts]\n\nlistn = '127.0.0.1:1'\n",
            "line 3",
            "`listen`",
            "accounts",
        ),
        (
            "nats_ulr = 'nats://usher:S3cretPw@broker'\n",
            "line 1",
            "`nats_url`",
            "verification",
        ),
        (
            "[mailer]\nmail_ulr = 'smtp://usher:S3cretPw@relay'\n",
            "line 2",
            "`mail_url`",
            "mailer",
        ),
        (
            "[mailer]\nnats_url = 'nats://usher:S3cretPw@broker'\n",
            "line 2",
            "[accounts]",
            "mailer",
        ),
        (
            "mail_url = 'smtp://usher:S3cretPw@relay'\n",
            "line 1",
            "[mailer]",
            "accounts",
        ),
        (
            "accounts = 'S3cretPw'\n",
            "line 1",
            "[accounts]",
            "accounts",
        ),
        (
            "[accounts]\ndatabase_url = { S3cretPw = 1 }\n",
            "line 2",
            "`database_url`",
            "accounts",
        ),
        (
            "[accounts]\n'postgres://usher:S3cretPw@db' = 1\n",
            "line 2",
            "docs/settings.md",
            "accounts",
        ),
        (
            "[accounts]\ndatabase_url = postgres://usher:S3cretPw@db/accounts\n",
            "line 2",
            "TOML",
            "accounts",
        ),
        (
            "[accounts]\ndatabase_url = 'postgres://S3cretPw\n",
            "line 2",
            "TOML",
            "accounts",
        ),
        ("[mailer]\nS3cretPw\n", "line 2", "TOML", "mailer"),
    ];
    for (text, line, meant, service) in slips {
        let path = file(&folder, text);
        for command in [service, "up", "demo", "config"] {
            let mut refused = json(&folder);
            refused.arg(command).env("USHER_CONFIG", &path);
            let message = sentence(refused, meant);
            let place = format!("{}, {line}", path.display());
            assert!(message.contains(&place), "no {place} in {message:?}");
        }
    }
    let nowhere = folder.path().join("nowhere.toml");
    let mut missing = json(&folder);
    missing.arg("up").env("USHER_CONFIG", &nowhere);
    sentence(missing, &nowhere.display().to_string());
    assert!(!folder.path().join("data").exists(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn usher_up_hands_the_file_on_and_says_what_of_it_does_not_hold() {
    let folder = folder();
    let path = file(
        &folder,
        "nats_url = 'nats://usher:S3cretPw@broker.example'\nnats_credentials = '/nowhere'\n\
         [verification]\ncode_digits = 10\n[mailer]\nmail_from = 'Ada <ada@sender.example>'\n",
    );
    let path = path.display().to_string();
    // Beside it an empty variable of each kind: all of them are unset.
    let world = World::start(&[
        ("USHER_CONFIG", &path),
        ("USHER_MAIL_URL", ""),
        ("USHER_LISTEN", ""),
        ("RUST_LOG", ""),
        ("USHER_MAILL_FROM", "nobody@example.com"),
    ])
    .await;
    world.sign_up("ada@example.com");
    let mails = world.data().join("mails");
    let mail = kit::testing::eventually("the mail", kit::testing::SOON, async || {
        let mut files = fs::read_dir(&mails).ok()?.flatten();
        let mail = files.find(|file| file.path().extension().is_some_and(|kind| kind == "eml"))?;
        fs::read_to_string(mail.path()).ok()
    })
    .await;
    assert!(mail.contains("ada@sender.example"), "{mail}");
    assert!(mail.contains("Message-ID"), "{mail}");
    let said = world.said();
    assert!(
        said.contains("nats_url") || said.contains("USHER_NATS_URL"),
        "{said}"
    );
    assert!(
        said.contains("USHER_MAILL_FROM") && said.contains("USHER_MAIL_FROM"),
        "{said}"
    );
    assert!(!said.contains(SECRET), "{said}");
    let doctor = world.command(&["doctor"]);
    assert!(doctor.status.success(), "{}", told(&doctor));
}

#[test]
fn a_misspelt_variable_is_named_with_the_nearest_one_and_others_are_left_alone() {
    let folder = folder();
    let doctor = |variable: &str, value: &str| {
        let mut doctor = json(&folder);
        doctor
            .args(["doctor", "--nats-url=nats://127.0.0.1:1"])
            .env(variable, value);
        let output = run(&mut doctor);
        let findings: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
        let findings = findings.as_array().cloned().unwrap_or_default();
        let of_settings = findings
            .into_iter()
            .filter(|finding| finding["part"] == "settings");
        String::from_iter(of_settings.map(|finding| finding.to_string()))
    };
    let slips = [
        ("USHER_MAILL_URL", "USHER_MAIL_URL"),
        ("USHER_DATABSE_URL", "USHER_DATABASE_URL"),
        ("USHER_CONFG", "USHER_CONFIG"),
        ("USHER_ADMIN_TOKENFILE", "USHER_ADMIN_TOKEN_FILE"),
        ("usher_mail_url", "USHER_MAIL_URL"),
    ];
    for (slip, meant) in slips {
        let found = doctor(slip, "smtp://usher:S3cretPw@relay");
        assert!(found.contains("warning"), "{slip}: {found}");
        assert!(
            found.contains(&format!("{slip} ")) && found.contains(meant),
            "{slip}: {found}"
        );
        assert!(!found.contains(SECRET), "{found}");
    }
    // Another program's, Kubernetes' own for services named usher-…, and one that is right.
    let others = [
        "USHER_THEATRE_SEAT",
        "USHER_ACCOUNTS_PORT",
        "USHER_ACCOUNTS_SERVICE_HOST",
        "USHER_MAILER_PORT_50053_TCP_ADDR",
        "USHER_MAIL_HELO",
    ];
    for other in others {
        let found = doctor(other, "mx.example.com");
        assert!(!found.contains("warning"), "{other}: {found}");
    }
}

#[test]
fn a_service_warns_of_a_misspelt_variable_in_its_log() {
    let folder = folder();
    let mut accounts = usher();
    accounts
        .current_dir(folder.path())
        .args([
            "accounts",
            "--stop-with-stdin",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
        ])
        .envs([
            ("USHER_NATS_ULR", "nats://usher:S3cretPw@broker"),
            ("USHER_LOG_FORMAT", "json"),
        ]);
    let output = run(&mut accounts);
    let log = told(&output);
    assert!(output.status.success(), "{log}");
    let warned = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let warned = warned.filter(|line| line.to_string().contains("USHER_NATS_ULR"));
    let warned = String::from_iter(warned.map(|line| line.to_string()));
    assert!(warned.contains("USHER_NATS_URL"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

/// Each setting that `usher config` lists, of all services and of the command itself.
fn listed(output: &Output) -> Vec<(String, Value)> {
    let all: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", told(output)));
    let mut settings = Vec::new();
    for (service, held) in all.as_object().expect("an object") {
        for setting in held.as_array().into_iter().flatten() {
            settings.push((service.clone(), setting.clone()));
        }
    }
    settings
}

#[test]
fn an_empty_variable_is_unset_for_every_setting() {
    let folder = folder();
    let settings = listed(&run(json(&folder).arg("config")));
    assert!(settings.len() > 50, "{settings:?}");
    let empty: Vec<String> = settings
        .iter()
        .filter_map(|(_, setting)| Some(setting["setting"].as_str()?.to_owned()))
        .chain([
            "USHER_CONFIG".to_owned(),
            "USHER_STOP_WITH_STDIN".to_owned(),
        ])
        .collect();
    let is_data = |(_, setting): &(String, Value)| setting["setting"] == "USHER_DATA";
    let without_data = |mut settings: Vec<(String, Value)>| {
        settings.retain(|setting| !is_data(setting));
        settings
    };
    let mut command = json(&folder);
    command
        .arg("config")
        .envs(empty.iter().map(|name| (name, "")));
    assert_eq!(
        without_data(listed(&run(&mut command))),
        without_data(settings)
    );
    // Commands of every kind, too.
    for arguments in [
        &["doctor"][..],
        &["account", "list"],
        &["migrate", "status"],
        &["keys", "generate"],
    ] {
        let run_with = |set: &[String]| {
            let folder = self::folder();
            let mut command = usher();
            command.current_dir(folder.path()).args(arguments);
            command.envs(set.iter().map(|name| (name, "")));
            run(&mut command)
        };
        let (without, with) = (run_with(&[]), run_with(&empty));
        assert_eq!(
            with.status.code(),
            without.status.code(),
            "{arguments:?}: {}",
            told(&with)
        );
    }
}

#[test]
fn usher_config_tells_what_holds_and_where_it_came_from_with_secrets_as_set() {
    let folder = folder();
    let path = file(
        &folder,
        "nats_url = 'nats://usher:S3cretPw@broker'\nack_wait = '5s'\n\
         [verification]\nmailer_url = ['http://one:1', 'http://two:2']\nack_wait = '7s'\n[accounts]\nnats_credentials = ''\n",
    );
    let place = |line: u64| serde_json::json!({ "from": "file", "file": path, "line": line });
    let mut command = json(&folder);
    command
        .args(["config", "verification", "--code-lifetime=2h"])
        .env("USHER_CONFIG", &path)
        .env(
            "USHER_DATABASE_URL",
            "postgres://usher:S3cretPw@db/verification",
        );
    let output = run(&mut command);
    assert!(output.status.success(), "{}", told(&output));
    assert!(!told(&output).contains(SECRET), "{}", told(&output));
    let settings = listed(&output);
    let of = |name: &str| {
        let found = settings
            .iter()
            .find(|(_, setting)| setting["setting"] == name);
        let (service, setting) = found.unwrap_or_else(|| panic!("no {name}: {settings:?}"));
        assert_eq!(service, "verification");
        setting.clone()
    };
    let holds = |name: &str, value: Value, from: Value| {
        let setting = of(name);
        assert_eq!(setting["value"], value, "{setting}");
        for (key, expected) in from.as_object().expect("an object") {
            assert_eq!(&setting[key], expected, "{setting}");
        }
    };
    let from = |origin: &str| serde_json::json!({ "from": origin });
    holds("USHER_CODE_LIFETIME", "2h".into(), from("flag"));
    holds("USHER_DATABASE_URL", "set".into(), from("environment"));
    holds("USHER_NATS_URL", "set".into(), place(1));
    holds("USHER_ACK_WAIT", "7s".into(), place(5));
    holds(
        "USHER_MAILER_URL",
        "http://one:1,http://two:2".into(),
        place(4),
    );
    holds("USHER_CODE_DIGITS", "8".into(), from("default"));
    holds("USHER_NATS_CREDENTIALS", Value::Null, from("default"));
    // For people: the same as a table.
    let output = run(usher()
        .current_dir(folder.path())
        .arg("config")
        .env("USHER_CONFIG", &path));
    let table = told(&output);
    assert!(output.status.success(), "{table}");
    assert!(!table.contains(SECRET), "{table}");
    for part in ["accounts", "verification", "mailer", "USHER_DATA "] {
        assert!(table.contains(part), "no {part}: {table}");
    }
    let line = table
        .lines()
        .find(|line| line.starts_with("USHER_MAILER_URL"));
    assert!(line.is_some_and(|line| line.contains("line 4")), "{table}");
}

#[test]
fn a_file_that_doctor_cannot_use_is_a_finding() {
    let folder = folder();
    let path = file(
        &folder,
        "[mailer]\nmail_ulr = 'smtp://usher:S3cretPw@relay'\n",
    );
    let mut doctor = json(&folder);
    doctor
        .args(["doctor", "--nats-url=nats://127.0.0.1:1"])
        .env("USHER_CONFIG", &path);
    let output = run(&mut doctor);
    let findings: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    let finding = findings.as_array().and_then(|all| {
        all.iter()
            .find(|finding| finding["part"] == "settings" && finding["level"] == "problem")
    });
    let finding = finding.unwrap_or_else(|| panic!("{findings}")).to_string();
    assert!(
        finding.contains("line 2") && finding.contains("mail_url"),
        "{finding}"
    );
    assert!(!finding.contains(SECRET), "{finding}");
}

/// As a service's own binary reads it, which knows no other service.
fn alone(service: &'static str, text: &str) -> anyhow::Result<()> {
    let folder = folder();
    let file = SettingsFile::read(&file(&folder, text))?;
    let (nothing, file) = (|_: &str| None, Some(&file));
    match service {
        "accounts" => Settings::find::<accounts::config::Config>(service, nothing, file)?
            .parse::<accounts::config::Config>()
            .map(drop),
        "verification" => Settings::find::<verification::config::Config>(service, nothing, file)?
            .parse::<verification::config::Config>()
            .map(drop),
        _ => Settings::find::<mailer::config::Config>(service, nothing, file)?
            .parse::<mailer::config::Config>()
            .map(drop),
    }
}

#[test]
fn what_several_services_share_may_stand_above_the_tables_for_each_of_them_alone() {
    const SERVICES: [&str; 3] = ["accounts", "verification", "mailer"];
    let all = listed(&run(usher().args(["config", "--output", "json"])));
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (service, setting) in all.iter().filter(|one| SERVICES.contains(&&*one.0)) {
        let name = setting["setting"].as_str().unwrap_or_default();
        let key = name.trim_start_matches("USHER_").to_lowercase();
        owners.entry(key).or_default().push(service.clone());
    }
    let of = |number: usize| owners.iter().filter(move |one| one.1.len() == number);
    assert!(of(2).count() > 2 && of(1).count() > 10, "{owners:?}");
    for (key, _) in of(2).chain(of(3)) {
        for service in SERVICES {
            alone(service, &format!("{key} = ''\n")).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    for (key, owner) in of(1) {
        for service in SERVICES {
            let taken = alone(service, &format!("{key} = ''\n")).is_ok();
            assert_eq!(taken, owner[0] == service, "{key}, {service}");
        }
    }
}
