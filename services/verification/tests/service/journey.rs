//! One account from its event to AccountVerified, and who watches it.

use futures::StreamExt as _;
use proto::{
    events::{Event as _, headers},
    streams::VERIFICATION,
    verification::{AccountVerified, CodeState, ConfirmOutcome, MailState},
};
use tonic::Code;

use crate::{
    client::{facts, nobody, wrong},
    world::World,
};

#[tokio::test]
async fn an_account_gets_a_mail_whose_code_verifies_it_and_the_event_says_so() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let event = world.created("Ada@example.org");
    world.publish(&event).await;

    let mail = world.mailer.mail(&event.account_id, 1).await;
    assert_eq!(
        (&*mail.email, &*mail.display_name, &*mail.locale),
        ("Ada@example.org", "Ada Lovelace", "en")
    );
    assert_eq!((mail.attempt, mail.digits.len()), (1, 8));
    let code = client
        .until_mail(&event.account_id, 1, MailState::Accepted)
        .await;
    assert_eq!((code.code_id, code.mail_attempts), (mail.code_id, 1));
    assert_eq!(code.expires_at, mail.expires_at);

    assert_eq!(
        client.outcome(&event.account_id, &mail.digits).await,
        ConfirmOutcome::Ok
    );
    let verified = client.get(&event.account_id).await.unwrap();
    assert_eq!(verified.codes[0].state(), CodeState::Used);
    assert_eq!(
        facts(&verified),
        ["code_issued", "mail_accepted", "verified"]
    );

    service.stop().await;
    let stream = world
        .bus
        .jetstream()
        .get_stream(VERIFICATION.name)
        .await
        .unwrap();
    let published = stream.get_raw_message(1).await.unwrap();
    assert_eq!(published.subject.as_str(), AccountVerified::SUBJECT);
    assert_eq!(
        published.headers.get(headers::SUBJECT).unwrap().as_str(),
        event.account_id
    );
    let told: AccountVerified = prost::Message::decode(published.payload).unwrap();
    assert_eq!(
        (told.account_id, told.verified_at),
        (event.account_id, verified.verified_at)
    );
}

#[tokio::test]
async fn i14_a_repeated_event_makes_nothing_twice_not_even_from_the_start_of_the_stream() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let event = world.created("ada@example.org");
    for _ in 0..5 {
        world.publish(&event).await; // each under its own message id: the broker sees five messages
    }
    client
        .until_mail(&event.account_id, 1, MailState::Accepted)
        .await;
    service.stop().await;

    // A deleted durable is made again and reads everything once more.
    let stream = world
        .bus
        .jetstream()
        .get_stream(proto::streams::ACCOUNTS.name)
        .await
        .unwrap();
    stream.delete_consumer("verification").await.unwrap();
    let service = world.start().await;
    let other = world.sign_up("grace@example.org").await; // comes after all repetitions
    service
        .client()
        .until_mail(&other, 1, MailState::Accepted)
        .await;
    assert_eq!(world.count("verifications").await, 2);
    assert_eq!(world.count("codes").await, 2);
    assert_eq!(world.mailer.mails_of(&event.account_id).len(), 1);
    assert_eq!(
        world.count("dead_letters").await,
        0,
        "a repetition is handled, not refused"
    );
}

#[tokio::test]
async fn i15_a_stream_that_lost_everything_is_followed_from_its_new_start() {
    let world = World::new().await;
    let service = world.start().await;
    let before = world.sign_up("ada@example.org").await;
    service
        .client()
        .until_mail(&before, 1, MailState::Accepted)
        .await;
    world
        .bus
        .jetstream()
        .delete_stream(proto::streams::ACCOUNTS.name)
        .await
        .unwrap();
    kit::bus::provision(&world.bus, None).await.unwrap();
    let after = world.sign_up("grace@example.org").await;
    service
        .client()
        .until_mail(&after, 1, MailState::Accepted)
        .await;
}

#[tokio::test]
async fn a_watcher_sees_each_change_until_the_account_is_verified() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let event = world.created("ada@example.org");
    let mut versions = client.watch(&event.account_id).await; // silent: nobody has heard of the account yet
    world.publish(&event).await;
    let mail = world.mailer.mail(&event.account_id, 1).await;
    let mut next = async || {
        versions
            .next()
            .await
            .map(|version| version.unwrap().verification.unwrap())
    };

    let accepted = loop {
        let seen = next().await.unwrap();
        if seen.codes[0].mail_state() == MailState::Accepted {
            break seen;
        }
        assert_eq!(seen.codes[0].mail_state(), MailState::Pending);
    };
    assert_eq!(accepted.verified_at, None);
    client
        .confirm(&event.account_id, &wrong(&mail.digits))
        .await;
    // Version and codes are read one after the other: a change in between shows at once, and again
    // as its own version.
    let guessed = loop {
        let seen = next().await.unwrap();
        if seen.codes[0].wrong_guesses > 0 {
            break seen;
        }
        assert_eq!(
            (seen.codes[0].mail_state(), seen.verified_at),
            (MailState::Accepted, None)
        );
    };
    assert_eq!(
        (guessed.codes[0].wrong_guesses, guessed.verified_at),
        (1, None)
    );
    client.confirm(&event.account_id, &mail.digits).await;
    loop {
        let seen = next().await.unwrap();
        assert_eq!(seen.codes[0].wrong_guesses, 1, "the right one is none");
        if seen.verified_at.is_some() {
            break;
        }
    }
    assert_eq!(
        next().await,
        None,
        "verified is the last thing that happens"
    );
}

#[tokio::test]
async fn a_shutdown_ends_a_watch_with_ok() {
    let world = World::new().await;
    let service = world.start().await;
    let mut versions = service.client().watch(&nobody()).await;
    service.stop().await;
    assert!(versions.next().await.is_none());
}

#[tokio::test]
async fn who_has_no_verification_is_not_found_and_what_is_no_id_is_refused() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    assert_eq!(
        client.get(&nobody()).await.unwrap_err().code(),
        Code::NotFound
    );
    for id in [
        "",
        "1",
        "018f5c1e7b9a7cc08f0e3c2a9d6b4e11",
        "{018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11}",
    ] {
        assert_eq!(
            client.get(id).await.unwrap_err().code(),
            Code::InvalidArgument,
            "{id:?}"
        );
    }
}
