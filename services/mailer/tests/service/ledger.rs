//! The ledger over crashes, on both databases, and what of a mail its files hold.

use std::time::Duration;

use kit::testing::{Phase, Postgres, SmtpServer, eventually};
use proto::mailer::Outcome;
use sea_orm::{ConnectionTrait as _, Database, Statement};

use crate::{
    harness::{Delivery, Mailer, SOON, again, mail, message_id},
    process::Process,
};

#[tokio::test]
async fn i08_killed_after_the_final_dot_the_next_start_counts_one_unknown_and_sends_the_same_mail()
{
    let directory = tempfile::tempdir().unwrap();
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(1).accept_and_hang();
    let offered = mail("ada@example.com");
    let process = Process::start(directory.path(), &[("USHER_MAIL_URL", &server.url())]);
    let delivery = Delivery::to(process.addr).await;
    delivery.offer(offered.clone()).await;
    server.wait_for(1, SOON).await;
    process.kill();

    let process = Process::start(directory.path(), &[("USHER_MAIL_URL", &server.url())]);
    let mut delivery = Delivery::to(process.addr).await;
    let lapsed = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (lapsed.outcome(), lapsed.unknown_attempts),
        (Outcome::Unknown, 1)
    );
    let accepted = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (accepted.outcome(), accepted.unknown_attempts),
        (Outcome::Accepted, 1)
    );
    let arrived = server.mails();
    assert_eq!(arrived.len(), 2);
    assert_eq!(message_id(&arrived[0].bytes), message_id(&arrived[1].bytes));
    process.kill();
}

#[tokio::test]
async fn killed_after_an_acceptance_the_next_start_remembers_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = SmtpServer::start().await;
    let offered = mail("ada@example.com");
    let process = Process::start(directory.path(), &[("USHER_MAIL_URL", &server.url())]);
    assert_eq!(
        Delivery::to(process.addr)
            .await
            .deliver(offered.clone())
            .await
            .outcome(),
        Outcome::Accepted
    );
    process.kill();
    let process = Process::start(directory.path(), &[("USHER_MAIL_URL", &server.url())]);
    assert_eq!(
        Delivery::to(process.addr)
            .await
            .deliver(again(&offered))
            .await
            .outcome(),
        Outcome::Accepted
    );
    assert_eq!(server.mails().len(), 1);
    process.kill();
}

#[tokio::test]
async fn i16_neither_address_nor_name_nor_code_is_in_the_database() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .to("canary-two@mail.example")
        .answer(550, "<canary-two@mail.example> 13572468 unknown");
    let mailer = Mailer::before(&server).await;
    let mut delivery = mailer.open().await;
    for (email, outcome) in [
        ("canary-one@mail.example", Outcome::Accepted),
        ("canary-two@mail.example", Outcome::Rejected),
        ("canary three@mail.example", Outcome::Invalid),
    ] {
        let mut offered = mail(email);
        offered.display_name = "Canarina".to_owned();
        offered.locale = "canary@mail.example".to_owned();
        assert_eq!(
            delivery.deliver(offered).await.outcome(),
            outcome,
            "{email}"
        );
    }
    let directory = mailer.stop().await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        seen += usize::from(text.contains("rejected"));
        for secret in [
            "canary",
            "canarina",
            "mail.example",
            "13572468",
            "1357 2468",
        ] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    assert!(seen > 0, "the files that were searched hold the ledger");
}

#[tokio::test]
async fn mails_are_forgotten_seven_days_after_their_code_expired() {
    let server = SmtpServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let url = server.url();
    let settings = [("USHER_MAIL_URL", &*url)];
    let mailer = Mailer::within(directory.path().to_owned(), &settings).await;
    let clock = mailer.clock.clone();
    // The codes of both work for a day; one was made two minutes before the other.
    let (earlier, later) = (mail("ada@example.com"), {
        clock.advance(Duration::from_secs(120));
        let mut later = mail("eve@example.com");
        later.expires_at = Some((clock.now() + Duration::from_secs(24 * 60 * 60)).into());
        later
    });
    let mut delivery = mailer.open().await;
    delivery.deliver(earlier.clone()).await;
    delivery.deliver(later.clone()).await;
    drop(delivery);
    mailer.stop().await;

    // What is due is forgotten by the next start: eight days are over for one of them, and a minute short for the other.
    clock.advance(Duration::from_secs(8 * 24 * 60 * 60 - 60));
    let mailer = Mailer::within_at(directory.path().to_owned(), &settings, clock).await;
    let kept = async || {
        let attempts = mailer.attempts().await;
        (attempts.len() < 2).then_some(attempts)
    };
    let kept = eventually("the earlier one to be forgotten", SOON, kept).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].code_id, later.code_id);
    // Forgotten means that the key is free again, not only that operators see nothing.
    let mut renewed = again(&earlier);
    renewed.expires_at = Some((mailer.clock.now() + Duration::from_secs(60)).into());
    mailer.open().await.deliver(renewed).await;
    assert_eq!(server.mails().len(), 3);
}

/// Takes the write lock of a mailer's SQLite file, as a long transaction would, until it is dropped.
async fn lock(mailer: &Mailer) -> sea_orm::DatabaseConnection {
    let path = mailer.folder.join("mailer.db");
    let mut options = sea_orm::ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.max_connections(1);
    let db = Database::connect(options).await.unwrap();
    db.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    db
}

#[tokio::test]
async fn an_attempt_whose_lease_has_passed_stops_before_the_final_dot() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Data)
        .times(1)
        .after(Duration::from_millis(400))
        .proceed();
    let settings = [
        ("USHER_MAIL_URL", &*server.url()),
        ("USHER_MAIL_LEASE", "200ms"),
    ];
    let mailer = Mailer::with(&settings).await;
    let mut delivery = mailer.open().await;
    let offered = mail("ada@example.com");
    delivery.offer(offered.clone()).await;
    eventually("the attempt to begin", SOON, async || {
        (server.connections() == 1).then_some(())
    })
    .await;
    let locked = lock(&mailer).await;
    let given_up = async || (server.open_connections() == 0).then_some(());
    eventually("the attempt to be given up", SOON, given_up).await;
    assert!(server.mails().is_empty());
    locked.close().await.unwrap();
    let stopped = delivery.result().await;
    assert_eq!(
        stopped.outcome(),
        Outcome::Unavailable,
        "{}",
        stopped.reason
    );
    assert_eq!(
        delivery.insist(&again(&offered)).await.outcome(),
        Outcome::Accepted
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn an_acceptance_is_answered_while_the_database_is_away_and_noted_when_it_is_back() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::FinalDot)
        .times(1)
        .after(Duration::from_millis(300))
        .proceed();
    let mailer = Mailer::with(&[
        ("USHER_MAIL_URL", &*server.url()),
        ("USHER_MAIL_LEASE", "10s"),
    ])
    .await;
    let mut delivery = mailer.open().await;
    let offered = mail("ada@example.com");
    delivery.offer(offered.clone()).await;
    eventually("the attempt to begin", SOON, async || {
        (server.connections() == 1).then_some(())
    })
    .await;
    let locked = lock(&mailer).await;
    assert_eq!(delivery.result().await.outcome(), Outcome::Accepted);
    let refused = delivery.deliver(mail("eve@example.com")).await;
    assert_eq!(
        (refused.outcome(), refused.reached),
        (Outcome::Unavailable, false)
    );
    assert!(mailer.attempts().await.is_empty());
    locked.close().await.unwrap();
    let noted = async || {
        mailer
            .attempts()
            .await
            .first()
            .map(proto::mailer::MailAttempt::outcome)
    };
    assert_eq!(eventually("the note", SOON, noted).await, Outcome::Accepted);
    assert_eq!(
        delivery.deliver(again(&offered)).await.outcome(),
        Outcome::Accepted
    );
    assert_eq!(server.mails().len(), 1);
}

/// A mailer on a database of its own in Postgres, tables made as `usher migrate` makes them.
async fn on_postgres(name: &str, mail_url: &str) -> Option<(Mailer, String)> {
    let url = Postgres::shared().await?.database(name).await;
    let db = kit::db::Db::connect(&url.parse().unwrap(), kit::clock::Clock::default())
        .await
        .unwrap();
    db.migrate::<mailer::migrations::Migrator>().await.unwrap();
    let settings = [
        ("USHER_DATABASE_URL", url.as_str()),
        ("USHER_MAIL_URL", mail_url),
    ];
    Some((Mailer::with(&settings).await, url))
}

#[tokio::test]
async fn on_postgres_two_replicas_send_one_mail_for_one_key() {
    let server = SmtpServer::start().await;
    let Some((one, url)) = on_postgres("replicas", &server.url()).await else {
        return;
    };
    let key = std::fs::read_to_string(one.folder.join("address-keys")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("address-keys");
    std::fs::write(&key_file, key).unwrap();
    std::fs::set_permissions(
        &key_file,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let settings = [
        ("USHER_DATABASE_URL", url.as_str()),
        ("USHER_MAIL_URL", &server.url()),
    ];
    let other = Mailer::within(directory.path().to_owned(), &settings).await;
    let (mut first, mut second) = (one.open().await, other.open().await);
    for _ in 0..50 {
        let offered = mail("ada@example.com");
        first.offer(offered.clone()).await;
        second.offer(offered.clone()).await;
        for outcome in [
            first.result().await.outcome(),
            second.result().await.outcome(),
        ] {
            assert!(
                matches!(outcome, Outcome::Accepted | Outcome::InFlight),
                "{outcome:?}"
            );
        }
        assert_eq!(
            first.insist(&again(&offered)).await.outcome(),
            Outcome::Accepted
        );
    }
    assert_eq!(server.mails().len(), 50);
}

#[tokio::test]
async fn on_postgres_a_lease_that_passed_is_one_unknown_attempt() {
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(1).accept_and_drop();
    let Some((mailer, url)) = on_postgres("leases", &server.url()).await else {
        return;
    };
    let mut delivery = mailer.open().await;
    let offered = mail("ada@example.com");
    assert_eq!(delivery.deliver(offered.clone()).await.unknown_attempts, 1);
    // As a replica that died during its attempt leaves it.
    let db = Database::connect(&url).await.unwrap();
    let sql = "UPDATE mails SET state = 'sending', claim_no = 2, claimed_until = 1";
    db.execute_raw(Statement::from_string(db.get_database_backend(), sql))
        .await
        .unwrap();
    let lapsed = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (lapsed.outcome(), lapsed.unknown_attempts),
        (Outcome::Unknown, 2)
    );
    let accepted = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (accepted.outcome(), accepted.unknown_attempts),
        (Outcome::Accepted, 2)
    );
    let history: Vec<_> = mailer
        .attempts()
        .await
        .iter()
        .map(|one| (one.attempt, one.outcome()))
        .collect();
    assert_eq!(
        history,
        [
            (3, Outcome::Accepted),
            (2, Outcome::Unknown),
            (1, Outcome::Unknown)
        ]
    );
}
