//! Accounts that are told of by a call, where no broker carries their events: the same as by their
//! events, and for whoever has the operators' token only.

use std::time::Duration;

use futures::future::join_all;
use kit::testing::{fields, reason};
use proto::{
    accounts::AccountCreated,
    verification::{CodeState, ConfirmOutcome, IssueCodeRequest, MailState},
};
use tokio::time::timeout;
use tonic::{Code, Request};

use crate::{
    telling::{Answer, awaiting, begin, call, issue, names_nobody, send, token, with_token},
    world::{Service, World},
};

const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);

#[tokio::test]
async fn an_account_that_a_call_tells_of_gets_the_mail_that_its_event_would_have_brought() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let event = world.created("Ada@example.org");
    let issued = issue(&service, call(&event)).await.unwrap();
    let mail = world.mailer.mail(&event.account_id, 1).await;
    assert_eq!(
        (&*mail.email, &*mail.display_name, &*mail.locale),
        ("Ada@example.org", "Ada Lovelace", "en")
    );
    assert_eq!(issued.code_id, mail.code_id);
    let code = client
        .until_mail(&event.account_id, 1, MailState::Accepted)
        .await;
    assert_eq!((&code.code_id, code.mail_attempts), (&mail.code_id, 1));

    let again = issue(&service, call(&event)).await.unwrap();
    assert_eq!(
        (&again.code_id, again.mail_state()),
        (&issued.code_id, MailState::Accepted)
    );
    let confirmed = client.outcome(&event.account_id, &mail.digits).await;
    assert_eq!(confirmed, ConfirmOutcome::Ok);
}

#[tokio::test]
async fn i05_i14_told_by_calls_and_events_in_any_order_and_at_once_an_account_has_one_code_and_one_mail()
 {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let by_event = world.created("ada@example.org");
    world.publish(&by_event).await;
    let mail = world.mailer.mail(&by_event.account_id, 1).await;
    let issued = issue(&service, awaiting(&by_event)).await.unwrap();
    assert_eq!(issued.code_id, mail.code_id);

    let by_call = world.created("grace@example.org");
    let issued = issue(&service, awaiting(&by_call)).await.unwrap();
    world.publish(&by_call).await;

    let by_both = world.created("edsger@example.org");
    let mut calls = Vec::new();
    for number in 0..100 {
        let mut request = call(&by_both);
        request.await_mail = number % 2 == 0;
        calls.push(begin(&client, service.as_operator(request)));
        if number % 10 == 0 {
            world.publish(&by_both).await;
        }
    }
    let mut codes = Vec::new();
    for answer in join_all(calls).await {
        codes.push(answer.unwrap().unwrap().code_id);
    }
    codes.dedup();
    let last = world.sign_up("barbara@example.org").await; // its event comes after all others
    client.until_mail(&last, 1, MailState::Accepted).await;
    let mails = world.mailer.mails_of(&by_both.account_id);
    assert_eq!((codes.len(), mails.len()), (1, 1));
    assert_eq!(codes[0], mails[0].code_id);
    let mails = world.mailer.mails_of(&by_call.account_id);
    assert_eq!((mails.len(), &mails[0].code_id), (1, &issued.code_id));
    let mails = world.mailer.mails().len();
    assert_eq!((world.count("codes").await, mails), (4, 4));
    assert_eq!(world.count("dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i05_replicas_that_are_told_of_an_account_at_once_make_one_code_and_both_know_of_its_mail()
{
    let Some(world) = World::on_postgres("issue_code").await else {
        return;
    };
    let replicas = world.pair().await;
    for round in 0..5 {
        let event = world.created(&format!("ada{round}@example.org"));
        let calls = (0..20).map(|number| {
            let replica = &replicas[number % 2];
            begin(&replica.client(), replica.as_operator(awaiting(&event)))
        });
        let calls: Vec<_> = calls.collect();
        for answer in join_all(calls).await {
            let answer = answer.unwrap().unwrap();
            let mails = world.mailer.mails_of(&event.account_id);
            assert_eq!((mails.len(), &mails[0].code_id), (1, &answer.code_id));
            assert_eq!(answer.mail_state(), MailState::Accepted);
        }
    }
    assert_eq!(world.count("codes").await, 5);
}

#[tokio::test]
async fn without_the_operators_token_a_call_is_unauthenticated_and_nothing_is_written() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let event = world.created("canary@example.org");
    let right = token(&world);
    let token = right.strip_prefix("Bearer ").unwrap();
    let mut requests = vec![
        Request::new(call(&event)),
        // Also one that could not be used: who lacks the token learns nothing.
        Request::new(IssueCodeRequest::default()),
    ];
    for wrong in [
        "",
        "Bearer ",
        token,
        &format!("Basic {token}"),
        &right[..right.len() - 1],
        &format!("{right}0"),
    ] {
        requests.push(with_token(wrong, call(&event)));
    }
    for request in requests {
        let refused = send(&client, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert_eq!(reason(&refused), "ADMIN_TOKEN_REQUIRED");
        names_nobody(&refused);
    }
    assert_eq!(world.count("verifications").await, 0);
    issue(&service, call(&event)).await.unwrap();
    assert_eq!(world.count("verifications").await, 1);
}

#[tokio::test]
async fn what_no_event_can_say_no_call_can_and_all_that_is_wrong_is_named() {
    let world = World::new().await;
    let service = world.start().await;
    let good = || call(&world.created("canary@example.org"));
    let refused = async |request: IssueCodeRequest| {
        let refused = issue(&service, request).await.unwrap_err();
        names_nobody(&refused);
        fields(&refused)
    };
    let mut two_lines = good();
    two_lines.email = "canary@example.org\r\nBcc: x@example.org".to_owned();
    assert_eq!(refused(two_lines).await, ["email"]);
    let mut two_lines = good();
    two_lines.display_name = "Canary\nLovelace".to_owned();
    assert_eq!(refused(two_lines).await, ["display_name"]);
    let all_wrong = IssueCodeRequest {
        account_id: "canary".to_owned(),
        email: "canary".to_owned(),
        display_name: "canary".repeat(20),
        locale: "canary".repeat(20),
        account_created_at: None,
        await_mail: true,
    };
    let all = "account_id email display_name locale account_created_at";
    assert_eq!(refused(all_wrong).await.join(" "), all);
    let mut too_old = good();
    too_old.account_created_at = Some((world.clock.now() - MONTH).into());
    assert_eq!(refused(too_old).await, ["account_created_at"]);
    assert_eq!(world.count("verifications").await, 0);
}

/// What is answered to calls of which the first waits for a lock, and all others for that one.
async fn together(world: &World, service: &Service, events: &[AccountCreated]) -> Vec<Answer> {
    let client = service.client();
    let lock = world.lock().await;
    let calls = events
        .iter()
        .map(|event| begin(&client, service.as_operator(call(event))));
    let calls: Vec<_> = calls.collect();
    // Came after them on the same connection: when it is given up, they are all there.
    let mut late = service.as_operator(call(&world.created("barbara@example.org")));
    late.set_timeout(Duration::from_secs(1));
    let late = send(&client, late).await.unwrap_err();
    assert_eq!(late.code(), Code::Unavailable, "{late:?}");
    lock.rollback().await.unwrap();
    let answers = join_all(calls).await.into_iter();
    answers.map(Result::unwrap).collect()
}

/// Each of these accounts is told the code of its own mail.
async fn have_their_own(world: &World, events: &[AccountCreated], answers: &[Answer]) {
    assert_eq!(events.len(), answers.len());
    for (event, answer) in events.iter().zip(answers) {
        let mail = world.mailer.mail(&event.account_id, 1).await;
        assert_eq!(answer.as_ref().unwrap().code_id, mail.code_id);
    }
}

#[tokio::test]
async fn calls_that_are_committed_together_each_get_their_own_answer() {
    let world = World::new().await;
    let service = world.start().await;
    let known = world.created("grace@example.org");
    issue(&service, awaiting(&known)).await.unwrap();
    let mut old = world.created("edsger@example.org");
    old.created_at = Some((world.clock.now() - MONTH).into());
    let mut events = vec![world.created("ada@example.org"), old, known];
    for number in 0..10 {
        events.push(world.created(&format!("ada{number}@example.org")));
    }
    let mut answers = together(&world, &service, &events).await;
    let old = answers.remove(1).unwrap_err();
    assert_eq!(fields(&old), ["account_created_at"]);
    events.remove(1);
    have_their_own(&world, &events, &answers).await;
    assert_eq!(world.count("codes").await, 13);
}

#[tokio::test]
async fn a_call_that_only_the_tables_refuse_takes_none_of_those_along_that_are_committed_with_it() {
    let world = World::new().await;
    let service = world.start().await;
    let refuse = "CREATE TRIGGER refuse_canary BEFORE INSERT ON verifications
                  WHEN NEW.email LIKE 'canary%' BEGIN SELECT RAISE(ABORT, 'no canaries'); END";
    world.execute(refuse).await;
    let mut events = vec![world.created("ada@example.org")];
    for number in 0..10 {
        events.push(world.created(&format!("ada{number}@example.org")));
    }
    events.insert(5, world.created("canary@example.org"));
    let mut answers = together(&world, &service, &events).await;
    let broken = answers.remove(5).unwrap_err();
    assert_eq!(broken.code(), Code::Internal, "{broken:?}");
    names_nobody(&broken);
    events.remove(5);
    have_their_own(&world, &events, &answers).await;
    assert_eq!(world.count("codes").await, 12);
}

#[tokio::test]
async fn while_the_database_is_locked_a_call_is_unavailable_and_who_hung_up_gets_the_mail_after_it()
{
    let world = World::new().await;
    // A mail that nobody handed over would wait for longer than this test does.
    let service = world.start_with(&[("USHER_DELIVERY_LEASE", "2m")]).await;
    let client = service.client();
    let (late, gone) = (
        world.created("canary@example.org"),
        world.created("grace@example.org"),
    );
    let lock = world.lock().await;
    let mut request = service.as_operator(awaiting(&gone));
    request.set_timeout(Duration::from_secs(5));
    let hung_up = begin(&client, request);
    let mut request = service.as_operator(awaiting(&late));
    request.set_timeout(Duration::from_secs(1));
    let refused = send(&client, request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    names_nobody(&refused);
    hung_up.abort();
    assert!(timeout(Duration::from_secs(1), hung_up).await.is_ok());
    lock.rollback().await.unwrap();
    for event in [&late, &gone] {
        let account_id = &event.account_id;
        let code = client.until_mail(account_id, 1, MailState::Accepted).await;
        assert_eq!(code.state(), CodeState::Live);
        let again = issue(&service, call(event)).await.unwrap();
        assert_eq!(again.code_id, code.code_id, "repeating it is safe");
    }
    assert_eq!(world.count("codes").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_whatever_becomes_of_a_call_no_log_line_names_anybody_or_the_token() {
    let world = World::new().await;
    let process = world.process(&[("RUST_LOG", "trace")]).await;
    let client = process.client();
    let token = token(&world);
    let good = world.created("canary.address@example.org");
    let mut broken = world.created("canary.address\n@example.org");
    broken.display_name = "Canarina\n".to_owned();
    send(&client, with_token(&token, awaiting(&good)))
        .await
        .unwrap();
    for request in [
        with_token("Bearer canary.secret", awaiting(&good)),
        with_token(&token, awaiting(&broken)),
    ] {
        names_nobody(&send(&client, request).await.unwrap_err());
    }
    let digits = world.mailer.mail(&good.account_id, 1).await.digits;
    let said = process.terminate().await;
    assert!(said.contains("Listening."), "the log was captured");
    let secret = token.strip_prefix("Bearer ").unwrap();
    for canary in ["canary", "Canarina", "Ada Lovelace", secret, &digits] {
        assert!(!said.contains(canary), "the log says {canary:?}");
    }
}
