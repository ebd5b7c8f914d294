//! The file is read by everybody who has settings, and a misspelt name is told with the nearest
//! one.

use std::collections::BTreeMap;

use kit::config::{Settings, SettingsFile};
use serde_json::Value;

use super::{SECRET, file, folder, json, listed, run, sentence, told};
use crate::world::usher;

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
        let mut config = json(&folder);
        config
            .arg("config")
            .env(slip, "smtp://usher:S3cretPw@relay");
        let told = run(&mut config).stderr;
        let told = String::from_utf8_lossy(&told);
        assert!(
            told.contains(meant) && !told.contains(SECRET),
            "{slip}: {told}"
        );
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
