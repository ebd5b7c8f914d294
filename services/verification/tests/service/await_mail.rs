//! Who tells of an account by a call may wait for its mail: until that has ended, the deadline is
//! near, or the service stops; and no more may wait than have room.

use std::time::Duration;

use futures::future::join_all;
use kit::testing::{SOON, eventually, retry_after};
use proto::{mailer::Outcome, verification::MailState};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    mailer::Says,
    telling::{awaiting, begin, call, issue, names_nobody, send, token, with_token},
    world::World,
};

#[tokio::test]
async fn who_awaits_the_mail_is_answered_once_it_has_ended_and_told_how() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let client = service.client();
    let event = world.created("ada@example.org");
    let waiting = begin(&client, service.as_operator(awaiting(&event)));
    let mail = world.mailer.mail(&event.account_id, 1).await;
    let meanwhile = issue(&service, call(&event)).await.unwrap();
    assert_eq!(
        (&meanwhile.code_id, meanwhile.mail_state()),
        (&mail.code_id, MailState::Pending)
    );
    assert!(!waiting.is_finished(), "its mail is under way");
    world.mailer.accept(&mail);
    let answer = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(
        (&answer.code_id, answer.mail_state()),
        (&mail.code_id, MailState::Accepted)
    );

    for (outcome, state) in [
        (Outcome::Rejected, MailState::Rejected),
        (Outcome::Invalid, MailState::Undelivered),
    ] {
        world
            .mailer
            .answers(move |_| Says::Outcome(outcome, 0, true, 0));
        let event = world.created("grace@example.org");
        let answer = issue(&service, awaiting(&event)).await.unwrap();
        assert_eq!(answer.mail_state(), state);
    }
}

#[tokio::test]
async fn a_mail_that_hangs_is_pending_at_the_callers_deadline_and_goes_on() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let event = world.created("ada@example.org");
    let mut request = service.as_operator(awaiting(&event));
    request.set_timeout(Duration::from_secs(2));
    let answer = send(&service.client(), request).await.unwrap();
    let mail = world.mailer.mail(&event.account_id, 1).await;
    assert_eq!(
        (&answer.code_id, answer.mail_state()),
        (&mail.code_id, MailState::Pending)
    );
    world.mailer.accept(&mail);
    let answer = issue(&service, awaiting(&event)).await.unwrap();
    assert_eq!(answer.mail_state(), MailState::Accepted);
    assert_eq!(world.mailer.mails().len(), 1);
}

fn is_told_when_to_come_again(refused: &Status) {
    assert!(!retry_after(refused).is_zero());
    names_nobody(refused);
}

#[tokio::test]
async fn i19_who_finds_no_room_to_wait_for_a_mail_is_refused_at_once_and_nothing_is_written() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start_with(&[("USHER_ISSUE_QUEUE", "1")]).await;
    let event = world.created("ada@example.org");
    let waiting = begin(&service.client(), service.as_operator(awaiting(&event)));
    let mail = world.mailer.mail(&event.account_id, 1).await;
    let other = world.created("canary@example.org");
    let refused = issue(&service, awaiting(&other)).await.unwrap_err();
    is_told_when_to_come_again(&refused);
    assert_eq!(world.count("verifications").await, 1);
    // Who waits for no mail needs no such room, and takes none.
    issue(&service, call(&other)).await.unwrap();

    world.mailer.accept(&mail);
    let answer = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.mail_state(), MailState::Accepted);
    let again = issue(&service, awaiting(&event)).await.unwrap();
    assert_eq!(again, answer, "there is room again");
}

#[tokio::test]
async fn i19_who_finds_no_room_to_wait_for_the_commit_is_refused_at_once_and_nothing_is_written() {
    let world = World::new().await;
    let service = world.start_with(&[("USHER_ISSUE_QUEUE", "1")]).await;
    let client = service.client();
    let lock = world.lock().await;
    let calls = (0..10).map(|number| {
        let event = world.created(&format!("canary{number}@example.org"));
        begin(&client, service.as_operator(call(&event)))
    });
    let calls: Vec<_> = calls.collect();
    let refused = async || {
        let ended = calls.iter().filter(|call| call.is_finished()).count();
        // Of the other two, one is being written and one waits.
        (ended >= 8).then_some(())
    };
    eventually("eight refusals", SOON, refused).await;
    lock.rollback().await.unwrap();
    let mut written = 0;
    for answer in join_all(calls).await {
        match answer.unwrap() {
            Ok(_) => written += 1,
            Err(refused) => is_told_when_to_come_again(&refused),
        }
    }
    assert!((1..=2).contains(&written), "{written} were served");
    assert_eq!(world.count("verifications").await, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_a_stop_answers_who_waits_with_what_is_so_and_the_next_start_sends_the_mail() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let process = world.process(&[]).await;
    let event = world.created("ada@example.org");
    let request = with_token(&token(&world), awaiting(&event));
    let waiting = begin(&process.client(), request);
    let mail = world.mailer.mail(&event.account_id, 1).await;
    assert!(!waiting.is_finished());
    process.terminate().await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(
        (&answer.code_id, answer.mail_state()),
        (&mail.code_id, MailState::Pending)
    );
    world.mailer.answers(|_| Says::accepted());
    let service = world.start().await;
    let client = service.client();
    let account_id = &event.account_id;
    client.until_mail(account_id, 1, MailState::Accepted).await;
    assert_eq!(world.count("codes").await, 1);
}
