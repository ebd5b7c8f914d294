//! Asking for another code: what it leads to, and how often it is allowed.

use std::time::Duration;

use kit::testing::{SOON, eventually, retry_after};
use proto::verification::{CodeState, MailState};
use sea_orm::DbBackend;
use tonic::Code;

use crate::{
    client::{facts, nobody},
    mailer::Says,
    world::World,
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn another_code_supersedes_the_last_one_and_is_mailed() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, first) = world
        .sign_up_and_read(&client, "Ada@Bücher.example".replace('ü', "u").as_str())
        .await;
    assert_eq!(
        client.resend_by_email(" ada@BUCHER.example").await.unwrap(),
        MINUTE
    );
    let second = world.mailer.mail(&account_id, 2).await;
    assert_ne!(
        (second.digits, second.attempt),
        (first, 2),
        "another code's first mail"
    );
    client.until_mail(&account_id, 2, MailState::Accepted).await;
    let now = client.get(&account_id).await.unwrap();
    let states: Vec<_> = now
        .codes
        .iter()
        .map(|code| (code.number, code.state()))
        .collect();
    assert_eq!(states, [(2, CodeState::Live), (1, CodeState::Superseded)]);
    let expected = [
        "code_issued",
        "mail_accepted",
        "resend_requested",
        "code_superseded",
        "code_issued",
        "mail_accepted",
    ];
    assert_eq!(facts(&now), expected);
}

#[tokio::test]
async fn while_the_mail_is_pending_it_is_made_due_and_nothing_is_issued() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::unavailable());
    let service = world.start().await;
    let client = service.client();
    let account_id = world.sign_up("ada@example.org").await;
    // The third one is followed by two minutes, and nobody here waits so long.
    for attempts in 1..=3 {
        let waits =
            |all: &proto::verification::Verification| all.codes[0].mail_attempts == attempts;
        client.until("the next attempt", &account_id, waits).await;
        if attempts < 3 {
            world.clock.advance(MINUTE);
        }
    }
    world.mailer.answers(|_| Says::accepted());
    client.resend(&account_id).await.unwrap();
    client.until_mail(&account_id, 1, MailState::Accepted).await;
    let mails = world.mailer.mails_of(&account_id);
    let attempts: Vec<u32> = mails.iter().map(|mail| mail.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    for mail in &mails {
        assert_eq!(
            (&mail.code_id, &mail.digits),
            (&mails[0].code_id, &mails[0].digits)
        );
    }
    assert_eq!(world.count("codes").await, 1);
}

#[tokio::test]
async fn known_and_unknown_get_the_same_answers_and_the_same_limits() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, _) = world.sign_up_and_read(&client, "ada@example.org").await;
    let (by_id, _) = world.sign_up_and_read(&client, "grace@example.org").await;
    assert_eq!(
        client.resend_by_email("ada@example.org").await.unwrap(),
        client.resend_by_email("nobody@example.org").await.unwrap()
    );
    assert_eq!(
        client.resend(&by_id).await.unwrap(),
        client.resend(&nobody()).await.unwrap()
    );
    world.clock.advance(MINUTE / 2);
    let refused = [
        client.resend_by_email("ada@example.org").await.unwrap_err(),
        client
            .resend_by_email("nobody@example.org")
            .await
            .unwrap_err(),
        client.resend(&by_id).await.unwrap_err(),
        client.resend(&nobody()).await.unwrap_err(),
    ];
    for status in &refused {
        assert_eq!(status.message(), refused[0].message());
        assert!(
            (Duration::from_secs(20)..=MINUTE / 2).contains(&retry_after(status)),
            "{status:?}"
        );
    }
    // An account has one budget, by whatever name it is asked for.
    assert_eq!(
        client.resend(&account_id).await.unwrap_err().code(),
        Code::ResourceExhausted
    );
    assert_eq!(world.count("resends").await, 4);
}

#[tokio::test]
async fn five_an_hour_and_ten_a_day_are_the_limits_over_rolling_windows() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    for _ in 0..5 {
        client.resend_by_email("nobody@example.org").await.unwrap();
        world.clock.advance(MINUTE * 2);
    }
    let wait = retry_after(
        &client
            .resend_by_email("nobody@example.org")
            .await
            .unwrap_err(),
    );
    assert!(wait > MINUTE * 49 && wait <= MINUTE * 50, "{wait:?}");
    for _ in 0..5 {
        world.clock.advance(MINUTE * 60);
        client.resend_by_email("nobody@example.org").await.unwrap();
    }
    world.clock.advance(MINUTE * 60);
    let wait = retry_after(
        &client
            .resend_by_email("nobody@example.org")
            .await
            .unwrap_err(),
    );
    let (day, passed) = (MINUTE * 60 * 24, MINUTE * (10 + 6 * 60));
    assert!(
        wait > day - passed - MINUTE && wait <= day - passed,
        "{wait:?}"
    );
    world.clock.advance(wait + MINUTE);
    client.resend_by_email("nobody@example.org").await.unwrap();
}

#[tokio::test]
async fn a_wish_that_a_crash_left_unserved_is_served_by_the_tick() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, _) = world.sign_up_and_read(&client, "ada@example.org").await;
    client.resend(&account_id).await.unwrap();
    client.until_mail(&account_id, 2, MailState::Accepted).await;
    service.stop().await;
    // As the row stands between its commit and the issuing.
    world
        .execute("UPDATE resends SET wanted_at = taken_1_at")
        .await;
    let service = world.start().await;
    service
        .client()
        .until_mail(&account_id, 3, MailState::Accepted)
        .await;
    assert_eq!(world.count("resends WHERE wanted_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_verified_account_gets_no_more_codes() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    client.confirm(&account_id, &digits).await;
    client.resend(&account_id).await.unwrap();
    world
        .until_none("resends WHERE wanted_at IS NOT NULL")
        .await;
    let told = client.get(&account_id).await.unwrap();
    assert!(facts(&told).contains(&"resend_requested"));
    assert_eq!(world.count("codes").await, 1);
}

#[tokio::test]
async fn what_is_no_address_is_refused_by_name() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    for email in [
        "",
        "ada",
        "@example.org",
        "a b@example.org",
        "ada@exa mple.org",
    ] {
        assert_eq!(
            client.resend_by_email(email).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{email:?}"
        );
    }
    assert_eq!(
        client.resend("1").await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(world.count("resends").await, 0, "nothing is written");
}

#[tokio::test]
async fn after_the_clock_was_set_back_an_asker_waits_for_a_minute_and_no_longer() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    world.clock.advance(MINUTE * 60);
    client.resend_by_email("nobody@example.org").await.unwrap();
    world.clock.rewind(MINUTE * 60);
    let asked_again = client.resend_by_email("nobody@example.org").await;
    assert_eq!(retry_after(&asked_again.unwrap_err()), MINUTE);
    world.clock.advance(MINUTE);
    client.resend_by_email("nobody@example.org").await.unwrap();
}

/// Requests of made-up addresses, so many, the n-th n microseconds after `from`.
async fn made_up(world: &World, rows: u32, from: &str) {
    let columns = "subject, account_id, wanted_at, taken_1_at, taken_2_at, taken_3_at, taken_4_at,
                   taken_5_at, taken_6_at, taken_7_at, taken_8_at, taken_9_at, taken_10_at";
    let none = "0, 0, 0, 0, 0, 0, 0, 0, 0";
    let sql = match world.database().await.get_database_backend() {
        DbBackend::Sqlite => format!(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
             INSERT INTO resends ({columns}) SELECT randomblob(32), NULL, NULL, {from} + n, {none} FROM n"
        ),
        _ => format!(
            "INSERT INTO resends ({columns})
             SELECT decode(md5(n::text || {from}), 'hex'), NULL, NULL, {from} + n, {none}
             FROM generate_series(1, {rows}) AS n"
        ),
    };
    world.execute(&sql).await;
}

#[tokio::test]
async fn i19_requests_of_made_up_addresses_are_bounded_and_those_of_accounts_are_kept() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, _) = world.sign_up_and_read(&client, "ada@example.org").await;
    client.resend(&account_id).await.unwrap();
    client.until_mail(&account_id, 2, MailState::Accepted).await; // the wish is served
    service.stop().await;
    let now = world.clock.now().0;
    made_up(&world, 103_000, &now.to_string()).await;
    let _service = world.start().await;
    let bounded = async || (world.count("resends").await == 100_001).then_some(());
    eventually("the oldest to be forgotten", SOON, bounded).await;
    assert_eq!(world.count("resends WHERE account_id IS NOT NULL").await, 1);
}

#[tokio::test]
async fn on_postgres_old_requests_are_forgotten_a_thousand_at_a_time() {
    let Some(world) = World::on_postgres("forget_resends").await else {
        return;
    };
    made_up(&world, 5_500, "1").await;
    world
        .execute("CREATE TABLE deleted (transaction_id BIGINT)")
        .await;
    world
        .execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO deleted VALUES (txid_current()); RETURN NULL; END'",
        )
        .await;
    world
        .execute("CREATE TRIGGER note AFTER DELETE ON resends FOR EACH ROW EXECUTE FUNCTION note()")
        .await;
    let replicas = world.pair().await;
    world.until_none("resends").await;
    let largest = "SELECT max(number) FROM (SELECT COUNT(*) AS number FROM deleted GROUP BY transaction_id) AS t";
    assert_eq!(world.number(largest).await, 1_000);
    drop(replicas);
}
