//! The dispatchers that call verification, one by one: what they say to it, how often, and what
//! becomes of what it does not take. What all kinds promise is tested with the whole system, in
//! services/usher.

use std::{fs, time::Duration};

use futures::future::join_all;
use kit::testing::{SOON, eventually};
use proto::{
    accounts::{CreateAccountResponse, MailOutcome},
    verification::MailState,
};
use tokio::time::Instant;
use tonic::{Code, Request};

use crate::{
    client::{Client, sign_up},
    verifier::{Says, Verification},
    world::{UNPUBLISHED, World},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const KEY: &str = "key-of-one-sign-up";
/// More than a call that hangs may take, and far less than its event may wait.
const HANGS: Duration = Duration::from_secs(30);

fn told<'a>(kind: &'a str, url: &'a str) -> [(&'a str, &'a str); 2] {
    [("USHER_DISPATCHER", kind), ("USHER_VERIFICATION_URL", url)]
}

async fn create(client: &Client, email: &str, patience: Duration) -> CreateAccountResponse {
    let mut request = Request::new(sign_up(email));
    request.set_timeout(patience);
    let key = request.metadata_mut();
    key.insert("idempotency-key", KEY.parse().unwrap());
    let answer = client.0.clone().create_account(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn verification_is_asked_with_the_token_the_trace_and_what_the_event_would_say() {
    for (kind, awaits) in [("inline", true), ("background", false)] {
        let world = World::new().await;
        let verification = Verification::start(Says::State(MailState::Accepted)).await;
        let url = verification.url();
        let continued = [("USHER_CALLER_TRACES", "continue")];
        let settings = [&told(kind, &url)[..], &continued].concat();
        let service = world.start_with(&settings).await;
        let mut request = Request::new(sign_up("Ada@Example.org"));
        let caller = format!("00-{TRACE}-b7ad6b7169203331-01").parse().unwrap();
        request.metadata_mut().insert("traceparent", caller);
        let answer = service.client().0.create_account(request).await.unwrap();
        let account = answer.into_inner().account.unwrap();
        let asked = async || verification.asked().pop();
        let asked = eventually("the call", SOON, asked).await;
        let token = fs::read_to_string(world.file("admin-token")).unwrap();
        assert_eq!(asked.authorization, format!("Bearer {}", token.trim()));
        let request = asked.request;
        assert_eq!(request.account_id, account.account_id);
        assert_eq!(
            (request.email, request.display_name, request.locale),
            (account.email, account.display_name, account.locale)
        );
        assert_eq!(request.account_created_at, account.created_at);
        assert_eq!(request.await_mail, awaits, "{kind}");
        assert!(asked.traceparent.contains(TRACE), "{kind}");
        // No row: nothing is published beside the call.
        assert_eq!(world.count("outbox").await, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_repetition_asks_again_as_long_as_the_account_is_pending_and_makes_nothing_new() {
    for kind in ["inline", "background"] {
        let world = World::new().await;
        let verification = Verification::start(Says::State(MailState::Accepted)).await;
        let service = world.start_with(&told(kind, &verification.url())).await;
        let client = service.client();
        let repeated = || create(&client, "ada@example.org", SOON);
        // Together in a group and one after the other.
        let all = join_all((0..5).map(|_| repeated())).await;
        repeated().await;
        let asked = async || (verification.asked().len() == 6).then_some(());
        eventually("a call for each", SOON, asked).await;
        let ids = all.iter().map(|one| one.account.as_ref().unwrap());
        let ids: Vec<_> = ids.map(|account| &account.account_id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(world.accounts_events_keys().await, [1, 0, 1]);
        world
            .execute("UPDATE accounts SET status = 'verified', verified_at = created_at")
            .await;
        assert_eq!(repeated().await.mail(), MailOutcome::Unspecified);
        assert_eq!(verification.asked().len(), 6, "{kind}");
    }
}

#[tokio::test]
async fn inline_tells_what_became_of_the_mail() {
    let world = World::new().await;
    let verification = Verification::start(Says::Nothing).await;
    let service = world.start_with(&told("inline", &verification.url())).await;
    let client = service.client();
    for (says, outcome) in [
        (Says::State(MailState::Accepted), MailOutcome::Accepted),
        (Says::State(MailState::Pending), MailOutcome::Pending),
        (Says::State(MailState::Rejected), MailOutcome::Rejected),
        (Says::State(MailState::Undelivered), MailOutcome::Unknown),
        (Says::State(MailState::Obsolete), MailOutcome::Unknown),
        (Says::Refuses(Code::Unauthenticated), MailOutcome::Unknown),
        (Says::Refuses(Code::InvalidArgument), MailOutcome::Unknown),
        (Says::Refuses(Code::Unavailable), MailOutcome::Unknown),
        (Says::Nothing, MailOutcome::Unknown),
    ] {
        verification.says(says);
        let (began, patience) = (Instant::now(), Duration::from_secs(2));
        let created = create(&client, "ada@example.org", patience).await;
        assert_eq!(created.mail(), outcome, "{says:?}");
        assert!(
            began.elapsed() < patience,
            "{says:?}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_gives_up_what_can_never_be_taken_at_once_and_the_rest_after_its_attempts() {
    let world = World::new().await;
    let verification = Verification::start(Says::Refuses(Code::InvalidArgument)).await;
    let attempts = [("USHER_BACKGROUND_ATTEMPTS", "3")];
    let url = verification.url();
    let settings = [&told("background", &url)[..], &attempts].concat();
    let process = world.process(&settings).await;
    let client: Client = process.client();
    let asked = async |calls| {
        let enough = async || (verification.asked().len() >= calls).then_some(());
        eventually("the calls", SOON, enough).await;
    };
    create(&client, "ada@example.org", SOON).await;
    asked(1).await;
    verification.says(Says::Refuses(Code::Unavailable));
    create(&client, "ada@example.org", SOON).await;
    asked(4).await;
    let said = process.terminate().await;
    assert_eq!(verification.asked().len(), 4);
    // Both were dropped, and nothing was taken between them.
    assert_eq!(said.matches("event was dropped").count(), 1, "{said}");
    assert!(!said.contains("dropped by the stop"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_gives_up_a_call_that_hangs_and_repeats_it_until_verification_takes_it() {
    let world = World::new().await;
    let verification = Verification::start(Says::Nothing).await;
    let process = world
        .process(&told("background", &verification.url()))
        .await;
    let asked = async |calls| {
        let enough = async || (verification.asked().len() >= calls).then_some(());
        eventually("the calls", HANGS, enough).await;
    };
    let created = create(&process.client(), "ada@example.org", SOON).await;
    asked(1).await;
    verification.says(Says::State(MailState::Accepted));
    asked(2).await;
    let said = process.terminate().await;
    // The answer was heard: there is no third call, and nothing was left for the stop to drop.
    let calls = verification.asked();
    let [hung, answered] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert_eq!(hung.request, answered.request);
    assert_eq!(
        answered.request.account_id,
        created.account.unwrap().account_id
    );
    assert!(!said.contains("dropped"), "{said}");
}

#[tokio::test]
async fn i19_background_has_a_bounded_number_of_calls_under_way() {
    let world = World::new().await;
    let verification = Verification::start(Says::Nothing).await;
    let service = world
        .start_with(&told("background", &verification.url()))
        .await;
    let client = service.client();
    join_all((0..200).map(async |n| {
        let created = client.create(sign_up(&format!("ada{n}@example.org"))).await;
        created.unwrap();
    }))
    .await;
    let full = async || (verification.asked().len() >= 64).then_some(());
    eventually("as many calls as there may be", SOON, full).await;
    assert_eq!(verification.peak(), 64);
    verification.says(Says::State(MailState::Pending));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_what_a_stop_could_not_bring_away_is_counted_and_logged_once() {
    let world = World::new().await;
    let verification = Verification::start(Says::Nothing).await;
    let process = world
        .process(&told("background", &verification.url()))
        .await;
    let client: Client = process.client();
    for n in 0..100 {
        let created = client.create(sign_up(&format!("ada{n}@example.org"))).await;
        created.unwrap();
    }
    let said = process.terminate().await;
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.contains("dropped by the stop"))
        .collect();
    assert!(
        matches!(lines[..], [one] if one.contains("events=100")),
        "{said}"
    );
    assert!(!said.contains("ended before its time"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i18_a_stop_answers_inline_callers_before_it_closes_their_connections() {
    let world = World::new().await;
    let verification = Verification::start(Says::Nothing).await;
    let process = world.process(&told("inline", &verification.url())).await;
    let client: Client = process.client();
    let waiting = tokio::spawn(async move { create(&client, "ada@example.org", SOON).await });
    let asked = async || verification.asked().pop();
    eventually("the call", SOON, asked).await;
    process.terminate().await;
    let created = waiting.await.unwrap();
    assert_eq!(created.mail(), MailOutcome::Unknown);
    assert_eq!(world.count("accounts").await, 1);
}

#[tokio::test]
async fn rows_of_a_time_before_the_dispatcher_was_changed_are_published() {
    let mut world = World::new().await;
    let verification = Verification::start(Says::State(MailState::Accepted)).await;
    world.nats.stop();
    let service = world.start().await;
    let client = service.client();
    client.create(sign_up("ada@example.org")).await.unwrap();
    service.stop().await;
    assert_eq!(world.count(UNPUBLISHED).await, 1);
    world.nats.restart().await;
    let _other = world.start_with(&told("inline", &verification.url())).await;
    world.until_none(UNPUBLISHED).await;
}
