//! The ledger over crashes, on both databases, and what of a mail its files hold.

use std::time::Duration;

use kit::testing::{Phase, SOON, SmallDisk, SmtpServer, eventually};
use proto::mailer::Outcome;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};

use crate::{
    client::{again, attempts, mail, message_id},
    world::World,
};

#[tokio::test]
async fn i08_killed_after_the_final_dot_the_next_start_counts_one_unknown_and_sends_the_same_mail()
{
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    server.on(Phase::FinalDot).times(1).accept_and_hang();
    let offered = mail("ada@example.com");
    let patient = [("USHER_MAIL_REPLY_DEADLINE", "1m")];
    let process = world.process(&patient).await;
    let delivery = process.client().open().await;
    delivery.offer(offered.clone()).await;
    server
        .until("the mail", |server| server.mails().len() == 1)
        .await;
    process.kill().await;

    let process = world.process(&[]).await;
    let mut delivery = process.client().open().await;
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
    process.kill().await;
}

#[tokio::test]
async fn killed_after_an_acceptance_the_next_start_remembers_it() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let offered = mail("ada@example.com");
    let process = world.process(&[]).await;
    assert_eq!(
        process
            .client()
            .open()
            .await
            .deliver(offered.clone())
            .await
            .outcome(),
        Outcome::Accepted
    );
    process.kill().await;
    let process = world.process(&[]).await;
    assert_eq!(
        process
            .client()
            .open()
            .await
            .deliver(again(&offered))
            .await
            .outcome(),
        Outcome::Accepted
    );
    assert_eq!(server.mails().len(), 1);
    process.kill().await;
}

#[tokio::test]
async fn i16_neither_address_nor_name_nor_code_is_in_the_database() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .to("canary-two@mail.example")
        .answer(550, "<canary-two@mail.example> 13572468 unknown");
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
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
    service.stop().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(world.folder()).unwrap() {
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
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    // The codes of both work for a day; one was made two minutes before the other.
    let earlier = mail("ada@example.com");
    world.clock.advance(Duration::from_secs(120));
    let mut later = mail("eve@example.com");
    let day = Duration::from_secs(24 * 60 * 60);
    later.expires_at = Some((world.clock.now() + day).into());
    delivery.deliver(earlier.clone()).await;
    delivery.deliver(later.clone()).await;
    drop(delivery);
    service.stop().await;

    // The next start forgets what is due: eight days are over for one, and a minute short for the
    // other.
    world.clock.advance(day * 8 - Duration::from_secs(60));
    let service = world.start().await;
    let kept = async || Some(attempts(&service).await).filter(|all| all.len() < 2);
    let kept = eventually("the earlier one to be forgotten", SOON, kept).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].code_id, later.code_id);
    // Forgotten means that the key is free again, not only that operators see nothing.
    let mut renewed = again(&earlier);
    renewed.expires_at = Some((world.clock.now() + Duration::from_secs(60)).into());
    service.client().open().await.deliver(renewed).await;
    assert_eq!(server.mails().len(), 3);
}

/// Takes the write lock of a mailer's SQLite file, as a long transaction would, until it is
/// dropped.
async fn lock(world: &World) -> DatabaseConnection {
    let settings = world.settings();
    let mut options = ConnectOptions::new(settings.get("USHER_DATABASE_URL"));
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
        .after(Duration::from_millis(2_500))
        .proceed();
    let world = World::before(&server);
    let patient = [("USHER_MAIL_COMMAND_DEADLINE", "10s")];
    let service = world.start_with(&patient).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    delivery.offer(offered.clone()).await;
    server
        .until("the attempt to begin", |server| server.connections() == 1)
        .await;
    let locked = lock(&world).await;
    let given_up = |server: &SmtpServer| server.open_connections() == 0;
    server.until("the attempt to be given up", given_up).await;
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
        .after(Duration::from_secs(1))
        .proceed();
    let world = World::before(&server);
    let settings = [
        ("USHER_MAIL_LEASE", "10s"),
        ("USHER_MAIL_REPLY_DEADLINE", "10s"),
    ];
    let service = world.start_with(&settings).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    delivery.offer(offered.clone()).await;
    server
        .until("the final dot", |server| server.final_dots() == 1)
        .await;
    let locked = lock(&world).await;
    assert_eq!(delivery.result().await.outcome(), Outcome::Accepted);
    let refused = delivery.deliver(mail("eve@example.com")).await;
    assert_eq!(
        (refused.outcome(), refused.reached),
        (Outcome::Unavailable, false)
    );
    assert!(attempts(&service).await.is_empty());
    locked.close().await.unwrap();
    world.until_none("mails WHERE state = 'sending'").await;
    assert_eq!(attempts(&service).await[0].outcome(), Outcome::Accepted);
    assert_eq!(
        delivery.deliver(again(&offered)).await.outcome(),
        Outcome::Accepted
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn on_postgres_two_replicas_send_one_mail_for_one_key() {
    let server = SmtpServer::start().await;
    let Some(world) = World::on_postgres("replicas", &server).await else {
        return;
    };
    let [one, other] = world.pair().await;
    let (mut first, mut second) = (one.client().open().await, other.client().open().await);
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
    let Some(world) = World::on_postgres("leases", &server).await else {
        return;
    };
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    assert_eq!(delivery.deliver(offered.clone()).await.unknown_attempts, 1);
    // As a replica that died during its attempt leaves it.
    world
        .execute("UPDATE mails SET state = 'sending', claim_no = 2, claimed_until = 1")
        .await;
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
    let history: Vec<_> = attempts(&service)
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

#[tokio::test]
async fn on_postgres_an_attempt_that_lasts_longer_than_a_lease_keeps_it() {
    let server = SmtpServer::start().await;
    let slowly = Duration::from_millis(2_500);
    server.on(Phase::Data).times(1).after(slowly).proceed();
    let Some(world) = World::on_postgres("renewals", &server).await else {
        return;
    };
    let patient = [("USHER_MAIL_COMMAND_DEADLINE", "10s")];
    let service = world.start_with(&patient).await;
    let mut delivery = service.client().open().await;
    let accepted = delivery.deliver(mail("ada@example.com")).await;
    assert_eq!(
        (accepted.outcome(), accepted.unknown_attempts),
        (Outcome::Accepted, 0),
        "{}",
        accepted.reason
    );
    assert_eq!(server.mails().len(), 1);
}

/// Lets the next commit that inserts into a table last so long that it is not answered in time, and
/// happen all the same.
async fn commit_late_once(world: &World, table: &str) {
    for sql in [
        "CREATE SEQUENCE begun",
        "CREATE SEQUENCE committed",
        "CREATE FUNCTION begin_slowly() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN IF nextval(''begun'') = 1 THEN PERFORM pg_sleep(1.5); END IF; RETURN NEW; END'",
        "CREATE FUNCTION commit_slowly() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN IF nextval(''committed'') = 1 THEN PERFORM pg_sleep(7.2); END IF; RETURN NULL; END'",
        &format!(
            "CREATE TRIGGER begin_slowly BEFORE INSERT ON {table}
             FOR EACH ROW EXECUTE FUNCTION begin_slowly()"
        ),
        &format!(
            "CREATE CONSTRAINT TRIGGER commit_slowly AFTER INSERT ON {table}
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commit_slowly()"
        ),
    ] {
        world.execute(sql).await;
    }
}

#[tokio::test]
async fn i08_on_postgres_a_claim_whose_commit_came_late_counts_as_no_attempt() {
    let server = SmtpServer::start().await;
    let Some(world) = World::on_postgres("late_claim", &server).await else {
        return;
    };
    commit_late_once(&world, "mails").await;
    let service = world.start_with(&[("USHER_MAIL_LEASE", "10s")]).await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    let refused = delivery.deliver(offered.clone()).await;
    assert_eq!(
        (refused.outcome(), refused.reached, refused.unknown_attempts),
        (Outcome::Unavailable, false, 0)
    );
    let committed = async || (world.count("mails WHERE state = 'idle'").await == 1).then_some(());
    eventually("the claim to come and to be taken back", SOON, committed).await;
    let accepted = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (accepted.outcome(), accepted.unknown_attempts),
        (Outcome::Accepted, 0)
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn on_postgres_an_outcome_whose_commit_came_late_is_written_once() {
    let server = SmtpServer::start().await;
    let Some(world) = World::on_postgres("late_outcome", &server).await else {
        return;
    };
    commit_late_once(&world, "attempts").await;
    let service = world.start_with(&[("USHER_MAIL_LEASE", "10s")]).await;
    let mut delivery = service.client().open().await;
    let accepted = delivery.deliver(mail("ada@example.com")).await;
    assert_eq!(accepted.outcome(), Outcome::Accepted);
    // The first commit came late; the second one is over when the third insert is.
    let written = async || (world.number("SELECT last_value FROM begun").await > 1).then_some(());
    eventually("the outcome to be written again", SOON, written).await;
    delivery.deliver(mail("eve@example.com")).await;
    assert_eq!(world.count("attempts").await, 2);
}

#[tokio::test]
async fn on_postgres_two_replicas_that_forget_leave_no_attempt_without_its_mail() {
    let server = SmtpServer::start().await;
    let Some(world) = World::on_postgres("forgetting", &server).await else {
        return;
    };
    world
        .execute(
            "INSERT INTO mails SELECT gen_random_uuid(), gen_random_uuid(), 'code', 'en', '', '', 'accepted',
                 1, 0, 0, '', 1, n FROM generate_series(1, 5000) AS n",
        )
        .await;
    world
        .execute(
            "INSERT INTO attempts SELECT gen_random_uuid(), code_id, account_id, 1, 'accepted', '', 1, ''
             FROM mails",
        )
        .await;
    let replicas = world.pair().await;
    world.until_none("mails").await;
    assert_eq!(world.count("attempts").await, 0);
    drop(replicas);
}

#[tokio::test]
async fn i07_a_lease_from_before_the_clock_was_set_back_is_taken_over() {
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(1).accept_and_drop();
    let Some(world) = World::on_postgres("clock_back", &server).await else {
        return;
    };
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    assert_eq!(delivery.deliver(offered.clone()).await.unknown_attempts, 1);
    // As a replica that died during its attempt leaves it, before the clock was set back by an
    // hour.
    let in_an_hour = (world.clock.now() + Duration::from_secs(60 * 60)).0;
    let left =
        format!("UPDATE mails SET state = 'sending', claim_no = 2, claimed_until = {in_an_hour}");
    world.execute(&left).await;
    let lapsed = delivery.deliver(again(&offered)).await;
    assert_eq!(
        (lapsed.outcome(), lapsed.unknown_attempts),
        (Outcome::Unknown, 2)
    );
}

#[tokio::test]
async fn i08_while_the_disk_is_full_nothing_is_sent_and_what_is_accepted_later_is_there_after_a_crash()
 {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = SmtpServer::start().await;
    let world = World::on_disk(&disk, &server);
    let service = world.process(&[]).await;
    let mut delivery = service.client().open().await;
    let mut sent = 0;
    disk.fill();
    // What is written in small pieces still finds room for a while.
    loop {
        let answer = delivery
            .deliver(mail(&format!("ada{sent}@example.com")))
            .await;
        if answer.outcome() != Outcome::Accepted {
            assert_eq!(
                (answer.outcome(), answer.reached),
                (Outcome::Unavailable, false)
            );
            break;
        }
        sent += 1;
        assert!(sent < 1_000, "the disk is full");
    }
    assert_eq!(server.mails().len(), sent);
    disk.free();
    for n in 0..10 {
        let answer = delivery.deliver(mail(&format!("eve{n}@example.com"))).await;
        assert_eq!(answer.outcome(), Outcome::Accepted);
        sent += 1;
    }
    world.until_none("mails WHERE state = 'sending'").await;
    service.kill().await;
    assert_eq!(server.mails().len(), sent);
    assert_eq!(
        world.count("mails WHERE state = 'accepted'").await,
        sent as i64
    );
}

#[tokio::test]
async fn a_start_on_a_full_disk_waits_for_space_and_then_sends_what_the_last_run_left() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = SmtpServer::start().await;
    let world = World::on_disk(&disk, &server);
    let offered = mail("ada@example.com");
    let service = world.process(&[]).await;
    let answer = service.client().open().await.deliver(offered.clone()).await;
    assert_eq!(answer.outcome(), Outcome::Accepted);
    service.kill().await;
    let left = "UPDATE mails SET state = 'sending', claimed_until = 4102444800000000";
    world.execute(left).await;
    // Otherwise what is written finds room where something was written before.
    world.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    disk.fill();
    // It would be started again and again, after longer and longer pauses.
    let service = world.process(&[]).await;
    disk.free();
    let mut delivery = service.client().open().await;
    let sent = async || {
        let answer = delivery.deliver(again(&offered)).await;
        (answer.outcome() == Outcome::Accepted).then_some(())
    };
    eventually("the mail of the last run to be sent again", SOON, sent).await;
}
