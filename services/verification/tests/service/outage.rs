//! The mailer, the broker or the database is away: nothing is lost, and nothing is counted against
//! anybody.

use std::time::Duration;

use proto::{
    mailer::Outcome,
    verification::{CodeState, ConfirmOutcome, MailState, Verification},
};
use tonic::Code;

use crate::{client::facts, mailer::Says, world::World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn while_the_mailer_is_away_mails_wait_and_come_when_it_is_back() {
    let mut world = World::new().await;
    world.mailer.stop();
    let service = world.start().await;
    let client = service.client();
    let mut accounts = Vec::new();
    for n in 0..20 {
        accounts.push(world.sign_up(&format!("ada{n}@example.org")).await);
    }
    for account_id in &accounts {
        let code = client.until_mail(account_id, 1, MailState::Pending).await;
        assert_eq!(code.mail_attempts, 0);
    }
    world.mailer.restart().await;
    for account_id in &accounts {
        let code = client.until_mail(account_id, 1, MailState::Accepted).await;
        assert_eq!(
            code.mail_attempts, 1,
            "the time without a mailer counted nothing"
        );
    }
    assert_eq!(world.mailer.mails().len(), 20);
}

#[tokio::test]
async fn a_mailer_that_dies_and_comes_back_gets_what_it_had_not_answered() {
    let mut world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let account_id = world.sign_up("ada@example.org").await;
    world.mailer.mail(&account_id, 1).await;
    world.mailer.stop();
    world.mailer.answers(|_| Says::accepted());
    world.mailer.restart().await;
    service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    let mails = world.mailer.mails_of(&account_id);
    assert_eq!((mails.len(), &mails[0].code_id), (2, &mails[1].code_id));
}

#[tokio::test]
async fn i07_an_outage_longer_than_a_codes_life_loses_nobody() {
    let mut world = World::new().await;
    world.mailer.stop();
    let service = world.start().await;
    let client = service.client();
    let account_id = world.sign_up("ada@example.org").await;
    client.until_mail(&account_id, 1, MailState::Pending).await;
    world.clock.advance(DAY);
    client.until_code(&account_id, 2).await;
    world.clock.advance(DAY);
    client.until_code(&account_id, 3).await;
    world.mailer.restart().await;
    client.until_mail(&account_id, 3, MailState::Accepted).await;

    let mails = world.mailer.mails_of(&account_id);
    assert_eq!(mails.len(), 1, "only the code that still confirms was sent");
    let told = client.get(&account_id).await.unwrap();
    assert_eq!(told.codes[2].state(), CodeState::Superseded);
    assert_eq!(told.codes[2].mail_state(), MailState::Obsolete);
    assert_eq!(
        client.outcome(&account_id, &mails[0].digits).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn i07_a_mail_server_that_never_took_the_mail_is_an_end_on_record() {
    let world = World::new().await;
    world
        .mailer
        .answers(|_| Says::Outcome(Outcome::Unavailable, 0, true, 0)); // 450: it answered
    let service = world.start().await;
    let client = service.client();
    let account_id = world.sign_up("ada@example.org").await;
    client
        .until("an attempt", &account_id, |all: &Verification| {
            all.codes[0].mail_attempts == 1
        })
        .await;
    world.clock.advance(DAY);
    client
        .until_mail(&account_id, 1, MailState::Undelivered)
        .await;
    let told = client.get(&account_id).await.unwrap();
    assert_eq!(
        (told.codes.len(), facts(&told).last()),
        (1, Some(&"mail_undelivered"))
    );
    assert_eq!(told.history.last().unwrap().detail, "expired");
}

#[tokio::test]
async fn without_the_broker_codes_are_confirmed_and_the_event_follows_when_it_is_back() {
    let mut world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    world.nats.stop();
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Ok
    );
    assert_eq!(world.count("outbox WHERE published_at IS NULL").await, 1);
    world.nats.restart().await;
    world.until_none("outbox WHERE published_at IS NULL").await;
}

#[tokio::test]
async fn while_the_database_is_locked_calls_are_unavailable_and_events_are_held() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let lock = world.lock().await;
    let refused = client.try_confirm(&account_id, &digits).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let other = world.sign_up("grace@example.org").await;
    lock.rollback().await.unwrap();
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Ok,
        "nothing was counted or half done"
    );
    client.until_mail(&other, 1, MailState::Accepted).await;
    assert_eq!(world.count("dead_letters").await, 0);
}
