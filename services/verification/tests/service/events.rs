//! What stands on the subject and is no good becomes a dead letter with a reason; what is good goes
//! on.

use std::time::Duration;

use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
    verification::MailState,
};

use crate::{
    client::nobody,
    world::{World, event_headers},
};

/// The reasons of all dead letters, none of which names an address outside its payload.
async fn reasons(world: &World) -> Vec<String> {
    let shown = "SELECT event_id || ce_subject || subject || headers || reason FROM dead_letters";
    for letter in world.texts(shown).await {
        let names_nobody = !letter.contains("example.org") && !letter.contains("canary");
        assert!(names_nobody, "i16: {letter}");
    }
    let sql = "SELECT reason FROM dead_letters ORDER BY reason";
    world.texts(sql).await
}

#[tokio::test]
async fn i13_each_event_that_is_no_good_is_one_dead_letter_that_says_why() {
    let world = World::new().await;
    let service = world.start().await;
    let good = |email: &str| world.created(email);
    let mut expected = Vec::new();
    let mut refuse = async |reason: &str, change: &dyn Fn(&mut AccountCreated)| {
        let mut event = good("canary@example.org");
        change(&mut event);
        world.publish(&event).await;
        expected.push(reason.to_owned());
    };
    refuse("invalid_account_id", &|event| {
        event.account_id = "1".to_owned();
    })
    .await;
    refuse("invalid_email", &|event| {
        event.email = "canary@example.org\r\nBcc: x@example.org".to_owned();
    })
    .await;
    refuse("invalid_email", &|event| event.email.clear()).await;
    refuse("invalid_display_name", &|event| {
        event.display_name = "Ada\nLovelace".to_owned();
    })
    .await;
    refuse("invalid_display_name", &|event| {
        event.display_name = "A".repeat(65);
    })
    .await;
    refuse("invalid_locale", &|event| event.locale = "x".repeat(36)).await;
    refuse("invalid_created_at", &|event| event.created_at = None).await;
    let long_ago = world.clock.now() - Duration::from_secs(31 * 24 * 60 * 60);
    refuse("too_old", &|event| event.created_at = Some(long_ago.into())).await;

    let broken = event_headers(&nobody(), &nobody());
    world
        .publish_raw(AccountCreated::SUBJECT, broken, vec![0xff; 40])
        .await;
    let mut unknown = event_headers(&"1".repeat(36), &nobody());
    unknown.insert(headers::TYPE, "usher.accounts.v2.AccountCreated");
    world
        .publish_raw(AccountCreated::SUBJECT, unknown, Vec::new())
        .await;
    let other = event_headers(&"2".repeat(36), &nobody());
    world
        .publish_raw("accounts.v1.account_vanished", other, Vec::new())
        .await;
    expected.extend(["broken_payload", "unknown_type", "unknown_type"].map(ToOwned::to_owned));

    let account_id = world.sign_up("ada@example.org").await;
    service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    service.stop().await;
    expected.sort();
    assert_eq!(reasons(&world).await, expected);
    assert_eq!(
        (
            world.count("verifications").await,
            world.count("codes").await
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn good_events_in_the_same_batch_as_bad_ones_go_on() {
    let world = World::new().await;
    let mut good = Vec::new();
    for n in 0..60 {
        if n % 3 == 0 {
            world
                .publish_raw(
                    AccountCreated::SUBJECT,
                    event_headers(&format!("{n:036}"), &nobody()),
                    vec![0xff],
                )
                .await;
        } else {
            good.push(world.sign_up(&format!("ada{n}@example.org")).await);
        }
    }
    let service = world.start().await;
    for account_id in &good {
        service
            .client()
            .until_mail(account_id, 1, MailState::Accepted)
            .await;
    }
    service.stop().await;
    assert_eq!(reasons(&world).await, vec!["broken_payload"; 20]);
    assert_eq!(world.count("codes").await, 40);
}

/// What only the tables know of: nothing in the event tells that it will be refused.
const REFUSE_CANARY: &str = "CREATE TRIGGER refuse_canary BEFORE INSERT ON verifications
    WHEN NEW.email LIKE 'canary%' BEGIN SELECT RAISE(ABORT, 'no canaries'); END";

#[tokio::test]
async fn i13_i17_an_event_that_only_the_tables_refuse_is_a_dead_letter_and_holds_nobody_up() {
    let world = World::new().await;
    let service = world.start().await;
    world.execute(REFUSE_CANARY).await;
    let mut good = Vec::new();
    for number in 0..5 {
        world.publish(&world.created("canary@example.org")).await;
        good.push(world.sign_up(&format!("ada{number}@example.org")).await);
    }
    for account_id in &good {
        let client = service.client();
        client.until_mail(account_id, 1, MailState::Accepted).await;
    }
    service.stop().await;
    assert_eq!(reasons(&world).await, vec!["refused_by_database"; 5]);
    assert_eq!(world.count("trials").await, 0);
}
