//! Mail servers that refuse, stall, hang up and talk nonsense, at every step of the conversation.

use kit::testing::{Phase, SmtpServer};
use proto::mailer::Outcome;

use crate::{
    client::{again, attempts, mail, message_id},
    world::World,
};

const STEPS: [Phase; 6] = [
    Phase::Greeting,
    Phase::Ehlo,
    Phase::Mail,
    Phase::Rcpt,
    Phase::Data,
    Phase::FinalDot,
];

#[tokio::test]
async fn only_a_permanent_refusal_of_the_recipient_is_final() {
    for (phase, code, text, outcome) in [
        (Phase::Rcpt, 550, "5.1.1 no such user", Outcome::Rejected),
        (
            Phase::Rcpt,
            553,
            "mailbox name not allowed",
            Outcome::Rejected,
        ),
        (Phase::Rcpt, 450, "4.2.0 greylisted", Outcome::Unavailable),
        (
            Phase::Rcpt,
            550,
            "5.7.1 relaying denied",
            Outcome::Unavailable,
        ),
        (Phase::Rcpt, 552, "5.2.2 mailbox full", Outcome::Unavailable),
        (
            Phase::Mail,
            550,
            "5.1.1 sender unknown",
            Outcome::Unavailable,
        ),
        (Phase::Mail, 452, "4.3.1 no space", Outcome::Unavailable),
        (
            Phase::Data,
            554,
            "no valid recipients",
            Outcome::Unavailable,
        ),
        (
            Phase::FinalDot,
            554,
            "5.7.1 looks like spam",
            Outcome::Unavailable,
        ),
        (
            Phase::FinalDot,
            451,
            "4.3.0 try again",
            Outcome::Unavailable,
        ),
    ] {
        let server = SmtpServer::start().await;
        server.on(phase).times(1).answer(code, text);
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let offered = mail("ada@example.com");
        let result = delivery.deliver(offered.clone()).await;
        assert_eq!(
            (result.outcome(), result.unknown_attempts),
            (outcome, 0),
            "{phase:?} {code} {text}"
        );
        assert!(
            result.reason.starts_with(&code.to_string()) && result.reason.contains(text),
            "{}",
            result.reason
        );
        let repeated = delivery.insist(&again(&offered)).await;
        let expected = if outcome == Outcome::Rejected {
            Outcome::Rejected
        } else {
            Outcome::Accepted
        };
        assert_eq!(repeated.outcome(), expected, "{phase:?} {code} {text}");
        // A refused sender and anything refused for a while may mean the connection: the next mail
        // takes another.
        let connections = if phase == Phase::Mail || code < 500 {
            2
        } else {
            1
        };
        assert_eq!(server.connections(), connections, "{phase:?} {code} {text}");
    }
}

#[tokio::test]
async fn nonsense_is_no_answer_and_no_acceptance() {
    for phase in STEPS {
        let server = SmtpServer::start().await;
        server.on(phase).times(1).garbage();
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let offered = mail("ada@example.com");
        let result = delivery.deliver(offered.clone()).await;
        let expected = if phase == Phase::FinalDot {
            Outcome::Unknown
        } else {
            Outcome::Unavailable
        };
        assert_eq!(result.outcome(), expected, "{phase:?}: {}", result.reason);
        assert!(
            result.reason.len() <= 300
                && result
                    .reason
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte))
        );
        assert_eq!(
            delivery.insist(&again(&offered)).await.outcome(),
            Outcome::Accepted,
            "{phase:?}"
        );
    }
}

#[tokio::test]
async fn i08_a_lost_answer_to_the_final_dot_is_counted_and_the_second_mail_has_the_same_message_id()
{
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(2).accept_and_drop();
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let mut offered = mail("ada@example.com");
    for unknown in 1..=2 {
        let result = delivery.deliver(offered.clone()).await;
        assert_eq!(
            (result.outcome(), result.unknown_attempts),
            (Outcome::Unknown, unknown)
        );
        offered = again(&offered);
    }
    let result = delivery.deliver(offered).await;
    assert_eq!(
        (result.outcome(), result.unknown_attempts),
        (Outcome::Accepted, 2)
    );
    let arrived = server.mails();
    assert_eq!(
        arrived.len(),
        3,
        "one mail, and one for each unknowable attempt"
    );
    assert!(
        arrived
            .iter()
            .all(|mail| message_id(&mail.bytes) == message_id(&arrived[0].bytes))
    );
    let history: Vec<_> = attempts(&service)
        .await
        .into_iter()
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
async fn i08_after_three_unknown_outcomes_a_mail_is_not_sent_again_even_if_their_answers_were_lost()
{
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).times(3).accept_and_drop();
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    for unknown in [1, 2, 3, 3] {
        let result = delivery.deliver(again(&offered)).await;
        assert_eq!(
            (result.outcome(), result.unknown_attempts),
            (Outcome::Unknown, unknown)
        );
    }
    assert_eq!(server.mails().len(), 3);
}

#[tokio::test]
async fn an_endless_answer_is_read_to_the_bound_and_then_counts_by_its_code() {
    let server = SmtpServer::start().await;
    let endless = "x".repeat(8 << 20);
    server.on(Phase::Rcpt).times(1).answer(550, &endless);
    server.on(Phase::Rcpt).times(1).answer(250, &endless);
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    let refused = delivery.deliver(offered.clone()).await;
    assert_eq!(
        (refused.outcome(), &refused.reason[..8]),
        (Outcome::Unavailable, "550 xxxx"),
        "it says nothing of the mailbox"
    );
    let cut = delivery.deliver(again(&offered)).await;
    assert_eq!(cut.outcome(), Outcome::Unavailable);
    assert!(
        cut.reason.contains("the answer is too long"),
        "{}",
        cut.reason
    );
    server
        .on(Phase::FinalDot)
        .times(1)
        .accept_and_say(format!("250 {endless}"));
    let accepted = delivery.deliver(again(&offered)).await;
    assert_eq!(accepted.outcome(), Outcome::Accepted, "{}", accepted.reason);
    assert_eq!(
        (server.connections(), server.mails().len()),
        (3, 1),
        "no connection is kept whose answers do not end"
    );
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_attempt() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    server.on(Phase::Mail).times(1).drop_connection();
    assert_eq!(
        delivery.deliver(mail("eve@example.com")).await.outcome(),
        Outcome::Accepted
    );
    server
        .on(Phase::Mail)
        .times(1)
        .answer(421, "4.4.2 idle for too long");
    assert_eq!(
        delivery.deliver(mail("bob@example.com")).await.outcome(),
        Outcome::Accepted
    );
    assert_eq!(
        (server.connections(), attempts(&service).await.len()),
        (3, 3)
    );
}

#[tokio::test]
async fn an_attempt_tells_whether_it_reached_the_mail_server() {
    for (phase, reached) in [
        (Phase::Connect, false),
        (Phase::Greeting, false),
        (Phase::Ehlo, false),
        (Phase::Mail, true),
        (Phase::Rcpt, true),
        (Phase::FinalDot, true),
    ] {
        let server = SmtpServer::start().await;
        server.on(phase).times(1).answer(451, "4.3.0 not now");
        let world = World::before(&server);
        let service = world.start().await;
        let mut delivery = service.client().open().await;
        let offered = mail("ada@example.com");
        let result = delivery.deliver(offered.clone()).await;
        assert_eq!(
            (result.outcome(), result.reached),
            (Outcome::Unavailable, reached),
            "{phase:?}"
        );
        let repeated = delivery.insist(&again(&offered)).await;
        assert_eq!(
            (repeated.outcome(), repeated.reached),
            (Outcome::Accepted, true),
            "{phase:?}"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_to_a_mail_server_that_went_away_has_reached_nobody() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.deliver(mail("ada@example.com")).await.outcome(),
        Outcome::Accepted
    );
    server.on(Phase::Mail).drop_connection();
    server.on(Phase::Connect).drop_connection();
    let result = delivery.deliver(mail("eve@example.com")).await;
    assert_eq!(
        (result.outcome(), result.reached),
        (Outcome::Unavailable, false)
    );
}

#[tokio::test]
async fn i16_what_a_mail_server_repeats_of_address_and_code_is_redacted() {
    let server = SmtpServer::start().await;
    server.on(Phase::FinalDot).answer(
        554,
        "5.7.1 spam for canary.ada@example.com: 1357 2468 (13572468)",
    );
    let world = World::before(&server);
    let service = world.start().await;
    let result = service
        .client()
        .open()
        .await
        .deliver(mail("canary.ada@example.com"))
        .await;
    assert_eq!(
        result.reason,
        "554 5.7.1 spam for <redacted>: <redacted> (<redacted>)"
    );
    assert_eq!(attempts(&service).await[0].reply, result.reason);
}
