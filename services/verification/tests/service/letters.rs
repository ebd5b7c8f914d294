//! Dead letters in operators' hands: handled again, as often as anybody likes.

use kit::testing::{SOON, eventually};
use proto::{
    accounts::AccountCreated,
    events::Event as _,
    letters::{
        DeadLetter, ListDeadLettersRequest, ReplayDeadLettersRequest, ReplayOutcome, Replayed,
    },
    verification::{MailState, verification_admin_client::VerificationAdminClient},
};

use crate::{
    client::nobody,
    world::{Service, World, event_headers},
};

/// In the order of their messages.
async fn all(service: &Service) -> Vec<DeadLetter> {
    let mut operator = service.admin(VerificationAdminClient::new);
    let request = service.as_operator(ListDeadLettersRequest::default());
    let listed = operator.list_dead_letters(request).await.unwrap();
    let mut letters = listed.into_inner().letters;
    letters.sort_by_key(|letter| letter.sequence);
    letters
}

/// What becomes of each.
async fn replay(service: &Service, letters: &[DeadLetter]) -> Vec<(ReplayOutcome, String)> {
    let ids = letters.iter().map(|letter| letter.id.clone());
    let request = ReplayDeadLettersRequest { ids: ids.collect() };
    let mut operator = service.admin(VerificationAdminClient::new);
    let replayed = operator
        .replay_dead_letters(service.as_operator(request))
        .await;
    let replayed = replayed.unwrap().into_inner().replayed;
    let outcome = |replayed: &Replayed| (replayed.outcome(), replayed.reason.clone());
    replayed.iter().map(outcome).collect()
}

#[tokio::test]
async fn i14_replaying_every_dead_letter_again_and_again_makes_nothing_twice_and_heals_what_was_missing()
 {
    let world = World::new().await;
    let service = world.start().await;
    world
        .execute("CREATE TABLE known (locale TEXT CHECK (locale <> 'xx'))")
        .await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON verifications
                  BEGIN INSERT INTO known VALUES (NEW.locale); END";
    world.execute(refuse).await;
    let mut event = world.created("ada@example.org");
    event.locale = "xx".to_owned();
    world.publish(&event).await;
    let broken = event_headers(&nobody(), &nobody());
    world
        .publish_raw(AccountCreated::SUBJECT, broken, vec![0xff; 40])
        .await;
    let other = world.sign_up("grace@example.org").await;
    let client = service.client();
    client.until_mail(&other, 1, MailState::Accepted).await;
    // What the database refuses is settled after those beside it.
    let letters = eventually("two dead letters", SOON, async || {
        Some(all(&service).await).filter(|letters| letters.len() == 2)
    });
    let letters = letters.await;
    world
        .execute("CREATE TABLE kept AS SELECT * FROM dead_letters")
        .await;

    let rejected = |reason: &str| (ReplayOutcome::Rejected, reason.to_owned());
    let as_before = [rejected("refused_by_database"), rejected("broken_payload")];
    assert_eq!(replay(&service, &letters).await, as_before);
    let attempts = all(&service).await.iter().map(|it| it.attempts).max();
    assert_eq!(attempts, Some(2));

    world.execute("DROP TRIGGER refuse").await;
    let healed = [
        (ReplayOutcome::Handled, String::new()),
        rejected("broken_payload"),
    ];
    assert_eq!(replay(&service, &letters).await, healed);
    client
        .until_mail(&event.account_id, 1, MailState::Accepted)
        .await;
    // Nobody learnt that the first replay was committed: the letter is there again.
    let again = "INSERT INTO dead_letters SELECT * FROM kept WHERE reason = 'refused_by_database'";
    world.execute(again).await;
    assert_eq!(replay(&service, &letters).await, healed);
    let gone = [
        (ReplayOutcome::Gone, String::new()),
        rejected("broken_payload"),
    ];
    assert_eq!(replay(&service, &letters).await, gone);

    let last = world.sign_up("edsger@example.org").await; // comes after all replays
    client.until_mail(&last, 1, MailState::Accepted).await;
    assert_eq!(world.count("codes").await, 3);
    assert_eq!(world.mailer.mails_of(&event.account_id).len(), 1);
    assert_eq!(world.count("dead_letters").await, 1);
}

#[tokio::test]
async fn while_the_database_is_locked_a_replay_says_not_now_and_changes_nothing() {
    let world = World::new().await;
    let service = world.start().await;
    for n in 0..3 {
        let broken = event_headers(&format!("{n:036}"), &nobody());
        world
            .publish_raw(AccountCreated::SUBJECT, broken, vec![0xff])
            .await;
    }
    let last = world.sign_up("ada@example.org").await; // events are handled in their order
    let client = service.client();
    client.until_mail(&last, 1, MailState::Accepted).await;
    let letters = all(&service).await;
    assert_eq!(letters.len(), 3);
    let database = world.database().await;
    let lock = sea_orm::TransactionTrait::begin(database).await.unwrap();
    let writing = "UPDATE dead_letters SET attempts = attempts";
    sea_orm::ConnectionTrait::execute_unprepared(&lock, writing)
        .await
        .unwrap();
    let not_now = (ReplayOutcome::NotNow, String::new());
    assert_eq!(replay(&service, &letters).await, vec![not_now; 3]);
    lock.rollback().await.unwrap();
    assert_eq!(all(&service).await, letters);
}
