//! How settings are found and refused: one way for every command, nothing passed over without a
//! word (`names`), and no secret in a refusal (`secrets`).

mod names;
mod secrets;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, refusal, usher};

/// Stands in every URL that is refused below, behind a character that ends a URL's part too early.
const SECRET: &str = "S3cretPw";

fn folder() -> TempDir {
    kit::testing::folder()
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
