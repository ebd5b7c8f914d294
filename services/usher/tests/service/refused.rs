//! What is said when a mail server, a database or its file cannot be used as the settings say:
//! whose fault, which setting, in our words and not in a library's.

use std::{collections::BTreeSet, fs};

use kit::testing::{
    Process, SOON, Setup, SmtpServer, World as Ground, eventually, make_secrets, probe,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
    sync::watch,
};
use tonic::transport::Channel;

use crate::world::{USHER, World, refusal, usher};

#[tokio::test]
async fn a_mail_server_that_refuses_the_login_is_told_by_all_with_the_setting() {
    let server = SmtpServer::with(Setup {
        login: Some(("user".to_owned(), "right".to_owned())),
        ..Setup::default()
    })
    .await;
    let url = format!("smtp://user:canary@127.0.0.1:{}?tls=off", server.port());
    let world = World::start(&[("USHER_MAIL_URL", &url)]).await;
    world.sign_up("ada@example.com");
    let (what, advice) = eventually("doctor to tell of it", SOON, async || {
        let output = world.command(&["doctor"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
        let ours = findings
            .iter()
            .find(|finding| finding["part"] == "mailer" && finding["level"] == "problem")?;
        Some((ours["what"].to_string(), ours["advice"].to_string()))
    })
    .await;
    assert!(
        what.contains("the mail server refuses the login (535"),
        "{what}"
    );
    assert!(!what.contains("circuit"), "no word of ours: {what}");
    assert!(
        advice.contains("USHER_MAIL_URL") && advice.contains("password"),
        "{advice}"
    );
    let listed = world.json(&["mail", "list"]);
    let reply = listed[0]["reply"].as_str().unwrap_or_default();
    assert!(
        reply.contains("refuses the login (535") && reply.contains("USHER_MAIL_URL"),
        "{reply}"
    );
    let log = fs::read_to_string(world.data().join("logs/mailer.log")).expect("there is a log");
    let line = log.lines().find(|line| line.contains("refuses the login"));
    let line = line.expect("the log tells of it");
    assert!(line.contains("USHER_MAIL_URL"), "{line}");
    assert!(!log.contains("canary"), "{log}");
}

/// A Postgres that refuses every login, and counts them.
async fn postgres_that_refuses(code: &'static str) -> (String, watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (sender, count) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut octets = [0; 1024];
            let mut read = stream.read(&mut octets).await.unwrap_or(0);
            // SSLRequest comes first: no TLS here.
            if read == 8 {
                let _ = stream.write_all(b"N").await;
                read = stream.read(&mut octets).await.unwrap_or(0);
            }
            if read > 0 {
                let mut fields = Vec::new();
                for (kind, text) in [('S', "FATAL"), ('V', "FATAL"), ('C', code), ('M', "no")] {
                    fields.extend(format!("{kind}{text}\0").bytes());
                }
                fields.push(0);
                let length = u32::try_from(fields.len() + 4).unwrap();
                let message = [&b"E"[..], &length.to_be_bytes(), &fields].concat();
                let _ = stream.write_all(&message).await;
                sender.send_modify(|count| *count += 1);
            }
        }
    });
    (format!("postgres://usher:canary@{at}/accounts"), count)
}

#[tokio::test]
async fn a_database_that_refuses_the_login_is_told_with_the_setting_and_logged_once() {
    for (code, words) in [
        ("28P01", "the database refuses the login"),
        ("3D000", "the server has no such database"),
    ] {
        let (url, mut logins) = postgres_that_refuses(code).await;
        let ground: Ground = Ground::on_sqlite();
        let settings = ground.settings();
        let admin = format!("127.0.0.1:{}", kit::testing::free_port());
        make_secrets(ground.folder());
        let key = ground.file("fingerprint-key").display().to_string();
        let settings = settings.with(&[
            ("USHER_DATABASE_URL", &url),
            ("USHER_ADMIN_LISTEN", &admin),
            ("USHER_FINGERPRINT_KEY_FILE", &key),
            ("USHER_NATS_URL", "nats://127.0.0.1:1"),
        ]);
        let mut command = Command::new(USHER);
        command.arg("accounts").current_dir(ground.folder());
        let process: Process<Channel> = Process::start(command, &settings).await;
        let admin = admin.parse().expect("it is an address");
        let told = eventually("readiness to tell of it", SOON, async || {
            let (_, told) = probe(admin, "/readyz").await.ok()?;
            told.contains("reason").then_some(told)
        })
        .await;
        assert!(told.contains(words), "{told}");
        assert!(told.contains("USHER_DATABASE_URL"), "{told}");
        assert!(!told.contains("brings them up to date"), "{told}");
        // Long enough for whoever tries again and again to have said so again and again.
        logins.wait_for(|count| *count > 25).await.unwrap();
        let log = process.terminate().await;
        assert!(!log.contains("canary") && !told.contains("canary"), "{log}");
        let complaints: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("WARN") || line.contains("ERROR"))
            .collect();
        let ours = complaints
            .iter()
            .filter(|line| line.contains("USHER_DATABASE_URL"));
        assert_eq!(ours.count(), 1, "{complaints:#?}");
        // After the time.
        let said: BTreeSet<&str> = complaints.iter().map(|line| &line[28..]).collect();
        assert_eq!(said.len(), complaints.len(), "said twice: {complaints:#?}");
        assert!(
            !log.contains("Connection Error"),
            "no library's words: {log}"
        );
        assert!(complaints.len() <= 8, "{complaints:#?}");
        assert_eq!(log.matches("The broker is away").count(), 1, "{log}");
        assert!(!log.contains("async_nats"), "no library's words: {log}");
    }
}

#[tokio::test]
async fn a_database_made_by_a_newer_usher_is_refused_with_that_word() {
    let folder = kit::testing::folder();
    let migrate = |arguments: &[&str]| {
        let mut migrate = usher();
        migrate.args(arguments).args(["--output", "json", "--data"]);
        migrate.arg(folder.path()).output().unwrap()
    };
    assert!(migrate(&["migrate"]).status.success());
    let file = folder.path().join("accounts.sqlite");
    let ground: Ground = Ground::on_sqlite();
    let url = format!("sqlite:{}", file.display());
    let ground = ground.with(&[("USHER_DATABASE_URL", &url)]);
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0042_later', 1)";
    ground.execute(newer).await;
    for command in [
        &["migrate"][..],
        &["migrate", "status"],
        &["up", "--ports", "auto"],
    ] {
        let (code, error) = refusal(&migrate(command));
        let said = error.to_string();
        assert!(
            said.contains("newer usher (m0042_later)"),
            "{command:?}: {said}"
        );
        assert!(said.contains("that version"), "{command:?}: {said}");
        assert!(!said.contains("file is missing"), "{said}");
        assert_eq!(code, 1, "{said}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_with_what_to_do() {
    let folder = kit::testing::folder();
    let file = folder.path().join("accounts.sqlite");
    let text = "not a database, but long enough to be taken for one".repeat(200);
    kit::files::replace(&file, &text).unwrap();
    let migrate = |command: &str| {
        let mut usher = usher();
        usher.args([command, "--output", "json", "--data"]);
        usher.arg(folder.path()).output().unwrap()
    };
    for command in ["migrate", "up"] {
        let (_, error) = refusal(&migrate(command));
        let said = error.to_string();
        assert!(said.contains(&file.display().to_string()), "{said}");
        assert!(said.contains("damaged"), "{said}");
        assert!(said.contains("copy") && said.contains("mv "), "{said}");
        assert!(!said.contains("(code: 26)"), "no library's words: {said}");
    }
}
