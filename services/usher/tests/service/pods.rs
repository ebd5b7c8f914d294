//! A service in a cluster: whatever it needs may be missing or wrong when it starts, and change while
//! it runs. It stays up, says in one line what somebody has to do, and goes on by itself.

mod ground;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kit::testing::{NatsOperator, NatsServer, SOON, eventually};
use tonic::Code;

use crate::world::usher;
use ground::{Guarded, Pod};

const SERVICES: [&str; 3] = ["accounts", "verification", "mailer"];

/// Runs a command to its end and answers with its exit code and all that it said.
async fn run(arguments: &[&str]) -> (i32, String) {
    let mut command = tokio::process::Command::from(usher());
    let output = command.args(arguments).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().expect("it was not killed");
    (code, String::from_utf8_lossy(&said).into_owned())
}

async fn migrate(service: &str, url: &str) -> (i32, String) {
    let url = format!("--database-url={url}");
    run(&["migrate", "--service", service, &url]).await
}

/// A service on a database of its own, all else in place.
async fn healthy(service: &'static str, postgres: &Guarded, nats: &NatsServer) -> Pod {
    let mut pod = Pod::of(service).with(&[("USHER_NATS_URL", &nats.url())]);
    postgres.make_role("first").await;
    postgres.make_database().await;
    let url = postgres.url("first");
    let (code, said) = migrate(service, &url).await;
    assert_eq!(code, 0, "{said}");
    pod.volume.put_keys();
    pod.volume.put("database-url", &format!("{url}\n"));
    pod
}

#[tokio::test]
async fn i20_a_pod_without_its_secrets_stays_up_names_all_of_them_and_begins_once_they_are_there() {
    let own = [
        ("accounts", vec!["fingerprint-key", "nats-credentials"]),
        ("verification", vec!["code-keys", "nats-credentials"]),
        ("mailer", vec!["address-keys", "mail-url"]),
    ];
    let operator = NatsOperator::default();
    let nats = NatsServer::start_with(&operator.configuration()).await;
    for (service, own) in own {
        let Some(postgres) = Guarded::start().await else {
            return;
        };
        postgres.make_role("first").await;
        postgres.make_database().await;
        let mut pod = Pod::of(service).with(&[("USHER_NATS_URL", &nats.url())]);
        let process = pod.start().await;
        let body = pod.until_it_says(503, "database-url").await;
        let reason = body["reason"].as_str().unwrap().to_owned();
        for name in own.into_iter().chain(["admin-token", "database-url"]) {
            assert!(reason.contains(name), "no {name} in {reason}");
        }
        assert!(!body["advice"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!(pod.call(&process).await, Code::Unavailable);
        assert!(
            !pod.volume.path("admin-token").exists(),
            "with Postgres nobody makes a secret of its own"
        );

        // One after the other: what is left is told.
        pod.volume.put_keys();
        let credentials = pod.volume.path("credentials-as-made");
        operator.write_credentials(&credentials);
        let credentials = std::fs::read_to_string(credentials).unwrap();
        pod.volume.put("nats-credentials", &credentials);
        pod.volume.put("mail-url", "file:mails");
        let left = async || {
            let (_, body) = pod.readyz().await?;
            let reason = body["reason"].as_str()?.to_owned();
            (!reason.contains("admin-token")).then_some(reason)
        };
        let left = eventually("what is left to be told", SOON, left).await;
        assert!(left.contains("database-url"), "{left}");
        pod.volume
            .put("database-url", "postgres://pod:a#b@127.0.0.1/pod");
        let body = pod.until_it_says(503, "percent-encode").await;
        assert!(!body.to_string().contains("a#b"), "{body}");

        let url = postgres.url("first");
        assert_eq!(migrate(service, &url).await.0, 0);
        pod.volume.put("database-url", &url);
        pod.until_it_says(200, "\"ready\":true").await;
        assert_ne!(pod.call(&process).await, Code::Unavailable);
        let log = process.terminate().await;
        let complaints = log.matches("The service cannot begin yet").count();
        assert!((2..=8).contains(&complaints), "{complaints} times in {log}");
        assert!(!log.contains("a#b") && !log.contains("first"), "{log}");
    }
}

#[tokio::test]
async fn i18_a_pod_that_waits_for_its_secrets_ends_at_once_when_it_is_told_to() {
    for service in SERVICES {
        let pod = Pod::of(service);
        let process = pod.start().await;
        pod.until_it_says(503, "database-url").await;
        let asked = Instant::now();
        process.terminate().await;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    }
}

#[tokio::test]
async fn i20_a_pod_whose_database_is_away_at_its_start_is_not_ready_and_recovers_with_it() {
    for service in SERVICES {
        let (Some(postgres), nats) = (Guarded::start().await, NatsServer::start().await) else {
            return;
        };
        nats.provision().await;
        let mut pod = healthy(service, &postgres, &nats).await;
        pod = pod.with(&[("USHER_NATS_CREDENTIALS", ""), ("USHER_MAIL_FROM", "")]);
        pod.volume.put("mail-url", "file:mails");
        pod.volume
            .put("database-url", "postgres://pod:first@127.0.0.1:1/pod");
        let process = pod.start().await;
        let body = pod.until_it_says(503, "the database does not answer").await;
        assert!(
            body["advice"]
                .as_str()
                .unwrap()
                .contains("USHER_DATABASE_URL_FILE"),
            "{body}"
        );
        if service != "mailer" {
            // Which asks nothing of its database to preview a mail.
            assert_eq!(pod.call(&process).await, Code::Unavailable);
        }
        pod.volume.put("database-url", &postgres.url("first"));
        pod.until_it_says(200, "\"ready\":true").await;
        process.terminate().await;
    }
}

#[tokio::test]
async fn i20_a_database_password_that_is_rotated_heals_without_a_restart() {
    let (Some(postgres), nats) = (Guarded::start().await, NatsServer::start().await) else {
        return;
    };
    nats.provision().await;
    let mut pod = healthy("accounts", &postgres, &nats).await;
    pod = pod.with(&[("USHER_NATS_CREDENTIALS", "")]);
    let process = pod.start().await;
    pod.until_well().await;
    postgres.rotate("second").await;
    let body = pod
        .until_it_says(503, "the database refuses the login")
        .await;
    assert!(
        body["advice"].as_str().unwrap().contains("database-url"),
        "{body}"
    );
    assert_eq!(pod.call(&process).await, Code::Unavailable);
    // What is wrong there changes nothing.
    pod.volume.take_away("database-url");
    pod.volume.put("database-url", &postgres.url("second"));
    pod.until_well().await;
    assert_eq!(pod.call(&process).await, Code::NotFound);
    let log = process.terminate().await;
    // Whoever met it says so once: the call, the relay, readiness.
    for part in ["serve::status", "outbox::relay", "serve::health"] {
        let of_part = |line: &&str| line.contains(part) && line.contains("refuses the login");
        assert!(log.lines().filter(of_part).count() <= 1, "{log}");
    }
    assert!(log.matches("refuses the login").count() <= 3, "{log}");
    assert!(!log.contains("first") && !log.contains("second"), "{log}");
}

#[tokio::test]
async fn i20_a_pod_on_tables_that_are_not_current_waits_for_somebody_to_migrate_them() {
    for service in SERVICES {
        let (Some(postgres), nats) = (Guarded::start().await, NatsServer::start().await) else {
            return;
        };
        nats.provision().await;
        postgres.make_role("first").await;
        postgres.make_database().await;
        let mut pod = Pod::of(service).with(&[
            ("USHER_NATS_URL", &nats.url()),
            ("USHER_NATS_CREDENTIALS", ""),
        ]);
        pod.volume.put_keys();
        pod.volume.put("mail-url", "file:mails");
        pod.volume.put("database-url", &postgres.url("first"));
        let process = pod.start().await;
        let body = pod.until_it_says(503, "tables are not current").await;
        assert!(
            body["advice"].as_str().unwrap().contains("`usher migrate`"),
            "{body}"
        );
        if service != "mailer" {
            assert_eq!(pod.call(&process).await, Code::Unavailable);
        }
        assert_eq!(
            postgres.tables().await,
            "0",
            "a server migrates nothing on Postgres"
        );
        // Long enough for whoever tries again and again to have said so again and again.
        let begun = Instant::now();
        let later = async || (begun.elapsed() > Duration::from_secs(4)).then_some(());
        eventually("some turns of each worker", SOON, later).await;
        let (code, said) = migrate(service, &postgres.url("first")).await;
        assert_eq!(code, 0, "{said}");
        pod.until_it_says(200, "\"ready\":true").await;
        said_once(&process.terminate().await);
    }
}

/// An upgrade can be taken back: each step leaves tables with which the release before works.
#[tokio::test]
async fn i20_a_pod_of_the_release_before_goes_on_with_tables_that_a_newer_one_has_migrated() {
    let (Some(postgres), nats) = (Guarded::start().await, NatsServer::start().await) else {
        return;
    };
    nats.provision().await;
    let pod = healthy("accounts", &postgres, &nats).await;
    let pod = pod.with(&[("USHER_NATS_CREDENTIALS", "")]);
    postgres.add_a_step("m0042_later").await;
    let url = format!("--database-url={}", postgres.url("first"));
    for command in [&["migrate"][..], &["migrate", "status", "--wait=5s"]] {
        let (code, said) = run(&[command, &["--service", "accounts", &url]].concat()).await;
        assert_eq!(code, 0, "{command:?}: {said}");
        assert!(
            said.contains("newer than this usher (m0042_later)"),
            "{said}"
        );
    }
    let process = pod.start().await;
    pod.until_well().await;
    assert_eq!(pod.call(&process).await, Code::NotFound);

    postgres.forget_a_step().await;
    let (code, said) = run(&["migrate", "--service", "accounts", &url]).await;
    assert_eq!(code, 1, "it is newer and lacks a step all the same: {said}");
    assert!(said.contains("newer usher (m0042_later)"), "{said}");
    process.terminate().await;
}

/// What somebody has to mend stands in the log once, and not once a turn.
fn said_once(log: &str) {
    let mut complaints = BTreeMap::new();
    for line in log.lines() {
        if line.contains("WARN") || line.contains("ERROR") {
            // After the time.
            *complaints.entry(&line[28..]).or_insert(0) += 1;
        }
    }
    assert!(
        complaints.values().all(|times| *times == 1),
        "{complaints:#?}"
    );
    assert!(complaints.len() < 10, "{complaints:#?}");
}

#[tokio::test]
async fn i20_wrong_credentials_for_the_broker_degrade_a_pod_until_they_are_put_right() {
    let Some(postgres) = Guarded::start().await else {
        return;
    };
    let (ours, theirs) = (NatsOperator::default(), NatsOperator::default());
    let mut nats = NatsServer::start_with(&ours.configuration()).await;
    let mut pod = healthy("accounts", &postgres, &nats).await;
    let made = kit::testing::folder();
    let credentials = |of: &NatsOperator| {
        let path = made.path().join("creds");
        of.write_credentials(&path);
        std::fs::read_to_string(path).unwrap()
    };
    pod.volume.put("nats-credentials", &credentials(&theirs));
    let process = pod.start().await;
    let body = pod.until_it_says(200, "refuses the credentials").await;
    assert!(body["degraded"]["broker"]["reason"].is_string(), "{body}");
    pod.volume.put("nats-credentials", &credentials(&ours));
    // It has no streams yet; what is said of those is another story.
    let of_streams = |body: &str| body.contains("has no stream");
    let taken = async || of_streams(&pod.readyz().await?.1.to_string()).then_some(());
    eventually("the login to be taken", SOON, taken).await;
    nats.stop();
    pod.until_it_says(200, "is not connected").await;
    nats.restart().await;
    eventually("the broker to be back", SOON, taken).await;
    process.terminate().await;
}
