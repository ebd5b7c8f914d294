//! The same on Postgres, with two replicas: what depends on the database's dialect, locks and
//! isolation.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use proto::verification::{ConfirmOutcome, MailState};
use sea_orm::ConnectionTrait as _;
use tonic::{Code, Status};

use crate::{
    client::{nobody, wrong},
    mailer::{Mailer, Says},
    world::World,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_send_each_mail_once_and_judge_each_guess_once() {
    let Some(world) = World::on_postgres("guesses").await else {
        return;
    };
    let replicas = world.pair().await;
    let [one, two] = [replicas[0].client(), replicas[1].client()];
    let mut accounts = Vec::new();
    for n in 0..30 {
        let event = world.created(&format!("ada{n}@example.org"));
        world.publish(&event).await;
        world.publish(&event).await; // i14: the second one makes nothing
        accounts.push(event.account_id);
    }
    for account_id in &accounts {
        one.until_mail(account_id, 1, MailState::Accepted).await;
    }
    let keys: HashSet<String> = world
        .mailer
        .mails()
        .into_iter()
        .map(|mail| mail.code_id)
        .collect();
    assert_eq!((keys.len(), world.mailer.mails().len()), (30, 30));

    // i11: one account's wrong guesses from both sides; i10: another's right ones.
    let digits = world.mailer.mail(&accounts[0], 1).await.digits;
    let guess = wrong(&digits);
    let answers = join_all(
        (0..40).map(|n| if n % 2 == 0 { &one } else { &two }.outcome(&accounts[0], &guess)),
    )
    .await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == ConfirmOutcome::Wrong)
            .count(),
        5
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == ConfirmOutcome::Burnt)
            .count(),
        35
    );
    let digits = world.mailer.mail(&accounts[1], 1).await.digits;
    let answers = join_all(
        (0..40).map(|n| if n % 2 == 0 { &one } else { &two }.outcome(&accounts[1], &digits)),
    )
    .await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == ConfirmOutcome::Ok)
            .count(),
        1
    );
    let already = answers
        .iter()
        .filter(|answer| **answer == ConfirmOutcome::AlreadyVerified)
        .count();
    assert_eq!(already, 39, "each guess waits for the one before it");
    assert_eq!(world.count("outbox").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resends_expiry_and_watching_work_across_replicas() {
    let Some(world) = World::on_postgres("resends").await else {
        return;
    };
    let replicas = world.pair().await;
    let [one, two] = [replicas[0].client(), replicas[1].client()];
    let (account_id, _) = world.sign_up_and_read(&one, "ada@example.org").await;
    let mut versions = two.watch(&account_id).await;
    assert_eq!(
        versions
            .next()
            .await
            .unwrap()
            .unwrap()
            .verification
            .unwrap()
            .codes
            .len(),
        1
    );

    let asked =
        join_all((0..20).map(|n| if n % 2 == 0 { &one } else { &two }.resend(&account_id))).await;
    assert_eq!(
        asked.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "one budget, whoever is asked"
    );
    assert!(
        asked.iter().all(
            |answer| answer.as_ref().map_or_else(Status::code, |_| Code::Ok) != Code::Internal
        )
    );
    one.until_mail(&account_id, 2, MailState::Accepted).await;
    while versions
        .next()
        .await
        .unwrap()
        .unwrap()
        .verification
        .unwrap()
        .codes
        .len()
        < 2
    {}
    assert_eq!(one.resend(&nobody()).await.unwrap(), MINUTE);

    world.mailer.answers(|_| Says::unavailable());
    let other = world.sign_up("grace@example.org").await;
    one.until("an attempt", &other, |all| all.codes[0].mail_attempts == 1)
        .await;
    world.clock.advance(DAY);
    two.until_code(&other, 2).await;
    world.mailer.answers(|_| Says::accepted());
    world.clock.advance(MINUTE);
    one.until_mail(&other, 2, MailState::Accepted).await;
    world
        .until_none("resends WHERE wanted_at IS NOT NULL")
        .await;
    assert_eq!(world.count("codes WHERE state = 'live'").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i05_the_database_itself_refuses_a_second_live_code() {
    let Some(world) = World::on_postgres("live").await else {
        return;
    };
    let replicas = world.pair().await;
    let (account_id, _) = world
        .sign_up_and_read(&replicas[0].client(), "ada@example.org")
        .await;
    replicas[0].client().resend(&account_id).await.unwrap();
    replicas[1]
        .client()
        .until_mail(&account_id, 2, MailState::Accepted)
        .await;
    let database = world.database().await;
    let both = database
        .execute_unprepared("UPDATE codes SET state = 'live'")
        .await;
    assert!(both.unwrap_err().to_string().contains("codes_live"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i03_the_claim_of_a_replica_that_died_runs_out_and_the_other_sends_the_mail() {
    let Some(world) = World::on_postgres("claims").await else {
        return;
    };
    let replicas = world.pair().await;
    world.mailer.answers(|_| Says::unavailable());
    let account_id = world.sign_up("ada@example.org").await;
    let client = replicas[0].client();
    client
        .until("an attempt", &account_id, |all| {
            all.codes[0].mail_attempts == 1
        })
        .await;
    // As the dead one leaves the row: claimed, and nobody renews it.
    let claimed = "UPDATE codes SET claim_no = claim_no + 1, next_attempt_at = 0, \
                   claimed_until = CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + 1500000";
    world.mailer.answers(|_| Says::accepted());
    let begun = Instant::now();
    world.execute(claimed).await;
    client.until_mail(&account_id, 1, MailState::Accepted).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(1_500),
        "not before it ran out: {:?}",
        begun.elapsed()
    );
    assert_eq!(world.mailer.mails().len(), 2);
}

#[tokio::test]
async fn renewals_and_outcomes_of_many_mails_never_deadlock() {
    const MAILS: usize = 1_500;
    let Some(world) = World::on_postgres("deadlocks").await else {
        return;
    };
    world.mailer.window(2_000);
    world.mailer.answers(|_| Says::Nothing);
    // Renewed every hundred milliseconds or so, all in one statement.
    let _service = world.start_with(&[("USHER_DELIVERY_LEASE", "350ms")]).await;
    for n in 0..MAILS {
        world.sign_up(&format!("ada{n}@example.org")).await;
    }
    let all = |mailer: &Mailer| mailer.mails().len() >= MAILS;
    world.mailer.until("all mails", all).await;
    // Answered in an order that is nobody's.
    let mut mails = world.mailer.mails();
    mails.sort_by_key(|mail| mail.digits.clone());
    for some in mails.chunks(25) {
        for mail in some {
            world.mailer.accept(mail);
        }
        let last = &some[0].code_id;
        world
            .until_none(&format!(
                "codes WHERE id = '{last}' AND mail_state = 'pending'"
            ))
            .await;
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(world.number(deadlocks).await, 0);
}
