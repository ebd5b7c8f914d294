//! The delivery protocol: each key once, bad mails refused, windows, and streams that end in order.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use insta::assert_snapshot;
use kit::testing::{Phase, Proxy, SOON, SmtpServer, channel, shown};
use proto::mailer::{
    DeliverRequest, Mail, Outcome, deliver_response::Message,
    mailer_service_client::MailerServiceClient,
};
use tonic::transport::Endpoint;

use crate::{
    client::{Client, again, attempts, mail, message_id},
    world::World,
};

#[tokio::test]
async fn a_mail_is_accepted_once_and_its_key_answers_ever_after() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    let first = delivery.deliver(offered.clone()).await;
    assert_eq!(
        (first.outcome(), first.code_id.as_str()),
        (Outcome::Accepted, offered.code_id.as_str())
    );
    assert!(first.accepted_at.is_some());
    let arrived = server.wait_for(1, SOON).await;
    assert_eq!(arrived[0].to, ["ada@example.com"]);
    assert_eq!(
        message_id(&arrived[0].bytes),
        format!("{}@usher.example", offered.code_id)
    );
    for _ in 0..3 {
        let repeated = service.client().open().await.deliver(again(&offered)).await;
        assert_eq!(
            (repeated.outcome(), repeated.accepted_at),
            (Outcome::Accepted, first.accepted_at)
        );
    }
    assert_eq!(server.mails().len(), 1, "a repeated key sends nothing");
}

#[tokio::test]
async fn i14_a_key_offered_many_times_at_once_makes_one_mail() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let offered = mail("ada@example.com");
    let mut streams = Vec::new();
    for _ in 0..4 {
        let delivery = service.client().open().await;
        for _ in 0..10 {
            delivery.offer(offered.clone()).await;
        }
        streams.push(delivery);
    }
    let mut accepted = 0;
    for delivery in &mut streams {
        for _ in 0..10 {
            match delivery.result().await.outcome() {
                Outcome::Accepted => accepted += 1,
                Outcome::InFlight => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(accepted >= 1);
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn i09_a_key_of_another_request_is_invalid_and_sends_nothing() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let offered = mail("ada@example.com");
    delivery.deliver(offered.clone()).await;
    let mut other_address = again(&offered);
    other_address.email = "eve@example.com".to_owned();
    let mut other_locale = again(&offered);
    other_locale.locale = "fr".to_owned();
    for other in [other_address, other_locale] {
        assert_eq!(delivery.deliver(other).await.outcome(), Outcome::Invalid);
    }
    let mut other_spelling = again(&offered);
    other_spelling.email = "Ada@EXAMPLE.com".to_owned();
    assert_eq!(
        delivery.deliver(other_spelling).await.outcome(),
        Outcome::Accepted,
        "it is the same address"
    );
    let mut other_digits = again(&offered);
    other_digits.digits = "87654321".to_owned();
    assert_eq!(
        delivery.deliver(other_digits).await.outcome(),
        Outcome::Accepted,
        "the code is not compared"
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_that_cannot_be_made_is_invalid_for_good() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    let breakers: [fn(&mut proto::mailer::Mail); 8] = [
        |mail| mail.email = "ada@example.com\r\nRCPT TO:<eve@example.com>".to_owned(),
        |mail| mail.email = String::new(),
        |mail| mail.display_name = "Ada\r\nBcc: eve@example.com".to_owned(),
        |mail| mail.display_name = "x".repeat(65),
        |mail| mail.digits = "1234".to_owned(),
        |mail| mail.expires_at = None,
        |mail| mail.account_id = "ada".to_owned(),
        |mail| mail.code_id = "code".to_owned(),
    ];
    for (number, break_it) in breakers.into_iter().enumerate() {
        let whole = mail("ada@example.com");
        let mut broken = whole.clone();
        break_it(&mut broken);
        let result = delivery.deliver(broken.clone()).await;
        assert_eq!(
            (result.outcome(), &result.code_id),
            (Outcome::Invalid, &broken.code_id),
            "{number}"
        );
        assert!(
            !result.reason.contains("eve") && !result.reason.is_empty(),
            "{}",
            result.reason
        );
        if broken.code_id == whole.code_id {
            let repeated = delivery.deliver(whole).await;
            assert_eq!(
                repeated.outcome(),
                Outcome::Invalid,
                "the key is used up: {number}"
            );
        }
    }
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_what_came_before_it_is_answered() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let delivery = service.client().open().await;
    delivery.offer(mail("ada@example.com")).await;
    let mut large = mail("eve@example.com");
    large.display_name = "x".repeat(1 << 20);
    delivery.offer(large).await;
    let mut responses = delivery.finish();
    let first = responses.message().await.unwrap().unwrap().message.unwrap();
    assert!(matches!(first, Message::Result(result) if result.outcome() == Outcome::Accepted));
    let refused = responses.message().await.unwrap_err();
    assert_snapshot!(shown(&refused), @r"
    ResourceExhausted: The message is longer than the 16384 bytes that are read.
      reason MESSAGE_TOO_LARGE of usher
    ");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn an_expired_code_is_not_sent() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let offered = mail("ada@example.com");
    world.clock.advance(Duration::from_secs(25 * 60 * 60));
    let result = service.client().open().await.deliver(offered).await;
    assert_eq!(
        (result.outcome(), result.reason.as_str()),
        (Outcome::Unavailable, "the code has expired")
    );
    assert!(server.mails().is_empty() && attempts(&service).await.is_empty());
}

#[tokio::test]
async fn an_unknown_locale_falls_back_and_a_region_to_its_language() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let service = world.start().await;
    let mut delivery = service.client().open().await;
    for (locale, subject) in [
        ("fr-CA", "Confirmez votre adresse e-mail"),
        ("de", "Bestätigen Sie Ihre E-Mail-Adresse"),
        ("tlh", "Confirm your email address"),
        ("", "Confirm your email address"),
    ] {
        let mut offered = mail("ada@example.com");
        offered.locale = locale.to_owned();
        assert_eq!(delivery.deliver(offered).await.outcome(), Outcome::Accepted);
        let bytes = server.mails().pop().unwrap().bytes;
        let arrived = mail_parser::MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(arrived.subject(), Some(subject), "{locale:?}");
    }
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[tokio::test]
async fn a_client_beyond_its_window_waits_and_loses_nothing() {
    let server = SmtpServer::start().await;
    let settings = [("USHER_MAIL_CONNECTIONS", "2")];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let mut delivery = service.client().open().await;
    assert_eq!(delivery.window, 32);
    for number in 0..200 {
        delivery
            .offer(mail(&format!("ada{number}@example.com")))
            .await;
    }
    for _ in 0..200 {
        assert_eq!(delivery.result().await.outcome(), Outcome::Accepted);
    }
    assert_eq!(server.mails().len(), 200);
    // Two, and as many again for whom the mail server keeps waiting.
    assert!(server.peak_connections() <= 4);
}

#[tokio::test]
async fn a_finished_client_gets_its_answers_and_then_the_end() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Rcpt)
        .after(Duration::from_millis(100))
        .proceed();
    let world = World::before(&server);
    let service = world.start().await;
    let delivery = service.client().open().await;
    delivery.offer(mail("ada@example.com")).await;
    let mut responses = delivery.finish();
    let last = responses.message().await.unwrap().unwrap().message.unwrap();
    assert!(matches!(last, Message::Result(result) if result.outcome() == Outcome::Accepted));
    assert_eq!(responses.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_mail_that_has_its_connection_runs_to_its_end_without_its_stream() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::Data)
        .after(Duration::from_millis(200))
        .proceed();
    let world = World::before(&server);
    let patient = [("USHER_MAIL_COMMAND_DEADLINE", "10s")];
    let service = world.start_with(&patient).await;
    let offered = mail("ada@example.com");
    let delivery = service.client().open().await;
    delivery.offer(offered.clone()).await;
    server
        .until("the attempt to begin", |server| server.connections() == 1)
        .await;
    drop(delivery);
    server.wait_for(1, SOON).await;
    let repeated = service.client().open().await.insist(&again(&offered)).await;
    assert_eq!(repeated.outcome(), Outcome::Accepted);
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_stream_on_a_connection_that_has_grown_old_is_drained() {
    let server = SmtpServer::start().await;
    let settings = [("USHER_CONNECTION_AGE", "100ms")];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let mut delivery = service.client().open().await;
    assert_eq!(
        delivery.next().await,
        Some(Message::Draining(proto::mailer::Draining {}))
    );
    assert_eq!(delivery.next().await, None, "it ends with OK");
}

#[tokio::test]
async fn after_an_old_connection_the_next_stream_goes_by_a_new_one_perhaps_to_another_mailer() {
    let (old, new) = (SmtpServer::start().await, SmtpServer::start().await);
    let (world, beside) = (World::before(&old), World::before(&new));
    let settings = [("USHER_CONNECTION_AGE", "2s")];
    let service = world.start_with(&settings).await;
    let other = beside.start().await;
    // Both stand behind one name, which leads to the one, then to the other.
    let name = Proxy::before(service.addr(), 1).await;
    let client = Client::from(channel(name.addr()));
    let mut delivery = client.clone().open().await;
    delivery.deliver(mail("ada@example.com")).await;
    name.lead_to(other.addr());
    while delivery.next().await.is_some() {}
    let result = client.open().await.deliver(mail("bea@example.com")).await;
    assert_eq!(result.outcome(), Outcome::Accepted);
    assert_eq!((old.mails().len(), new.mails().len()), (1, 1));
}

#[tokio::test]
async fn i19_mails_of_all_streams_together_are_bounded_and_the_rest_waits_with_its_clients() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).hang();
    let settings = [("USHER_STREAMS", "2"), ("USHER_MAIL_QUEUE", "5")];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let (mut first, mut second) = (service.client().open().await, service.client().open().await);
    for delivery in [&first, &second] {
        for number in 0..3 {
            delivery.offer(mail(&format!("{number}@example.com"))).await;
        }
    }
    for delivery in [&mut first, &mut second] {
        for _ in 0..3 {
            delivery.result().await;
        }
    }
    let peak = server.peak_connections();
    assert!((2..=5).contains(&peak), "{peak} at once");
}

#[tokio::test]
async fn i19_a_client_that_takes_no_answers_holds_up_nobody_elses_mails() {
    let server = SmtpServer::start().await;
    let world = World::before(&server);
    let settings = [("USHER_STREAMS", "2"), ("USHER_MAIL_QUEUE", "5")];
    let service = world.start_with(&settings).await;
    let deaf = Endpoint::from_shared(format!("http://{}", service.addr()));
    let deaf = deaf.unwrap().initial_stream_window_size(0).connect_lazy();
    // More than the mailer keeps answers to, each answered at once.
    let unusable = DeliverRequest {
        mail: Some(Mail::default()),
    };
    let asked = stream::iter(vec![unusable; 400]).chain(stream::pending());
    let _untaken = MailerServiceClient::new(deaf).deliver(asked).await.unwrap();
    let mut friend = service.client().open().await;
    for number in 0..20 {
        let result = friend.deliver(mail(&format!("{number}@example.com"))).await;
        assert_eq!(result.outcome(), Outcome::Accepted);
    }
}

#[tokio::test]
async fn i18_sigterm_answers_what_is_under_way_and_ends_the_stream_with_ok() {
    let server = SmtpServer::start().await;
    server
        .on(Phase::FinalDot)
        .to("slow@example.com")
        .after(Duration::from_millis(500))
        .proceed();
    server.on(Phase::Rcpt).to("stuck@example.com").hang();
    server
        .on(Phase::FinalDot)
        .to("lost@example.com")
        .accept_and_hang();
    let settings = [
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
        ("USHER_MAIL_REPLY_DEADLINE", "1m"),
        ("USHER_MAIL_STOP_GRACE", "2s"),
    ];
    let world = World::before(&server);
    let service = world.start_with(&settings).await;
    let mut delivery = service.client().open().await;
    for email in ["slow@example.com", "stuck@example.com", "lost@example.com"] {
        delivery.offer(mail(email)).await;
    }
    let under_way = |server: &SmtpServer| (server.connections(), server.final_dots()) == (3, 2);
    server.until("all to be under way", under_way).await;
    server.wait_for(1, SOON).await;
    let running = service.begin_to_stop();
    assert_eq!(
        delivery.next().await,
        Some(Message::Draining(proto::mailer::Draining {}))
    );
    let mut outcomes = Vec::new();
    while let Some(Message::Result(result)) = delivery.next().await {
        outcomes.push((result.outcome(), result.unknown_attempts));
    }
    outcomes.sort_by_key(|(outcome, _)| *outcome as i32);
    assert_eq!(
        outcomes,
        [
            (Outcome::Accepted, 0),
            (Outcome::Unavailable, 0),
            (Outcome::Unknown, 1)
        ]
    );
    tokio::time::timeout(SOON, running)
        .await
        .expect("it stops in time")
        .unwrap()
        .unwrap();
}
