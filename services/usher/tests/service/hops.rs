//! Each service's part of a journey's trace, as a collector receives it from the process alone.

use std::time::{Duration, Instant};

use futures::stream;
use kit::{
    clock::Clock,
    telemetry::names,
    testing::{Phase, SOON, SmtpServer, eventually},
};
use opentelemetry::trace::SpanKind;
use proto::{
    accounts::{CreateAccountRequest, accounts_service_client::AccountsServiceClient},
    mailer::{
        DeliverRequest, DeliverResponse, Mail, Outcome, deliver_response::Message,
        mailer_service_client::MailerServiceClient,
    },
    streams::ACCOUNTS,
    verification::{
        ConfirmCodeRequest, GetVerificationRequest, MailState, confirm_code_request::Target,
        verification_service_client::VerificationServiceClient,
    },
};
use tokio::sync::mpsc;
use tonic::{Request, Streaming, transport::Channel};
use usher::otlp::{OtlpReceiver, Span};
use uuid::Uuid;

use crate::{alone::Alone, mailer::Mailer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn first(spans: &[Span], is: impl Fn(&&Span) -> bool) -> &Span {
    spans.iter().find(is).unwrap()
}

fn begins(name: &'static str) -> impl Fn(&&Span) -> bool {
    move |span| span.name.starts_with(name)
}

fn answers(span: &&Span) -> bool {
    span.kind == SpanKind::Server
}

/// Both what a call was answered by and what came of it: either may be told of first.
pub(crate) fn answered_and_published(spans: &[Span]) -> bool {
    ["create", "publish"]
        .iter()
        .all(|name| spans.iter().any(|span| span.name.starts_with(name)))
        && spans.iter().any(|span| answers(&span))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_goes_from_the_caller_through_the_event_with_the_log_off_and_holds_no_address() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let endpoint = receiver.endpoint();
    let telemetry = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("USHER_CALLER_TRACES", "continue"),
        ("RUST_LOG", "off"),
    ];
    let accounts = Alone::start("accounts", &telemetry).await;
    let mut request = Request::new(CreateAccountRequest {
        email: "canary.address@example.org".to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        locale: "en".to_owned(),
    });
    let caller = format!("00-{TRACE}-{PARENT}-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", caller);
    let mut client = AccountsServiceClient::new(accounts.channel());
    let reply = client.create_account(request).await.unwrap().into_inner();
    let account = reply.account.unwrap();

    const CREATE: &str = "create accounts.v1.account_created";
    let spans = receiver.wait_for_trace(TRACE, answered_and_published, SOON);
    let spans = spans.await.unwrap();
    let server = first(&spans, answers);
    let create = first(&spans, |span| span.name == CREATE);
    let publish = first(&spans, begins("publish"));
    assert_eq!(server.parent_span_id.as_deref(), Some(PARENT));
    assert_eq!(
        (create.kind.clone(), create.parent_span_id.as_deref()),
        (SpanKind::Producer, Some(&*server.span_id))
    );
    assert_eq!(server.attributes["usher.account.id"], account.account_id);
    assert_eq!(publish.parent_span_id.as_deref(), Some(&*create.span_id));

    let bus = accounts.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let event = stream.get_raw_message(1).await.unwrap();
    let carried = event.headers.get(kit::propagation::TRACEPARENT).unwrap();
    assert_eq!(
        carried.as_str(),
        format!("00-{TRACE}-{}-01", create.span_id)
    );
    let everything = receiver.spans();
    let group = everything
        .iter()
        .find(|span| span.name == "commit sign-ups")
        .expect("the group's transaction has its own span");
    let mut links = group.links.iter();
    assert!(
        links.any(|link| link.span_id == server.span_id),
        "{group:?}"
    );

    accounts.terminate().await;
    let exported = receiver.to_text();
    assert!(
        exported.contains("commit sign-ups") && !exported.contains("canary"),
        "i16: the export holds an address"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_goes_through_code_row_and_mail_with_the_log_off_and_the_event_hangs_on_the_confirmation()
 {
    let receiver = OtlpReceiver::record().await.unwrap();
    let mailer = Mailer::start().await;
    let (endpoint, mailer_url) = (receiver.endpoint(), mailer.url());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("USHER_CALLER_TRACES", "continue"),
        ("RUST_LOG", "off"),
        ("USHER_MAILER_URL", mailer_url.as_str()),
        ("USHER_CODE_KEYS_FILE", "code-keys"),
        ("USHER_DELIVERY_TICK", "50ms"),
        ("USHER_ACK_WAIT", "600ms"),
    ];
    let verification = Alone::start("verification", &environment).await;
    let mut client = VerificationServiceClient::new(verification.channel());
    let account_id = verification
        .publish_account(
            "canary.address@example.org",
            &format!("00-{TRACE}-{PARENT}-01"),
        )
        .await;
    let mail = mailer.mail(&account_id).await;
    until_accepted(&client, &account_id).await;
    let complete = |spans: &[Span]| {
        spans.iter().any(|span| span.name == "deliver")
            && spans.iter().any(|span| begins("process")(&span))
    };
    let spans = receiver.wait_for_trace(TRACE, complete, SOON).await;
    let spans = spans.unwrap();
    let process = first(&spans, begins("process"));
    let deliver = first(&spans, |span| span.name == "deliver");
    assert_eq!(
        (process.kind.clone(), process.parent_span_id.as_deref()),
        (SpanKind::Consumer, Some(PARENT))
    );
    assert!(process.links.iter().any(|link| link.span_id == PARENT));
    assert_eq!(
        (deliver.kind.clone(), deliver.parent_span_id.as_deref()),
        (SpanKind::Client, Some(&*process.span_id))
    );
    assert_eq!(
        mail.traceparent,
        format!("00-{TRACE}-{}-01", deliver.span_id)
    );
    let everything = receiver.spans();
    let batch = first(&everything, |span| span.name == "store verifications");
    let mut links = batch.links.iter();
    assert!(links.any(|link| link.span_id == process.span_id));

    let (trace, caller) = ("1bf7651916cd43dd8448eb211c80319d", "c7ad6b7169203332");
    let mut request = Request::new(ConfirmCodeRequest {
        target: Some(Target::AccountId(account_id)),
        code: mail.digits.clone(),
    });
    let parent = format!("00-{trace}-{caller}-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    client.confirm_code(request).await.unwrap();
    let spans = receiver.wait_for_trace(trace, answered_and_published, SOON);
    let spans = spans.await.unwrap();
    let server = first(&spans, answers);
    let create = first(&spans, |span| span.kind == SpanKind::Producer);
    let publish = first(&spans, begins("publish"));
    assert_eq!(server.parent_span_id.as_deref(), Some(caller));
    assert_eq!(
        (&*create.name, create.parent_span_id.as_deref()),
        (
            "create verification.v1.account_verified",
            Some(&*server.span_id)
        )
    );
    assert_eq!(publish.parent_span_id.as_deref(), Some(&*create.span_id));

    let said = verification.terminate().await;
    let exported = receiver.to_text();
    for (what, text) in [("the export", &exported), ("the log", &said)] {
        assert!(
            !text.contains("canary") && !text.contains(&mail.digits),
            "i16: {what} holds a secret"
        );
    }
}

async fn until_accepted(client: &VerificationServiceClient<Channel>, account_id: &str) {
    let accepted = async || {
        let request = GetVerificationRequest {
            account_id: account_id.to_owned(),
        };
        let reply = client.clone().get_verification(request).await.ok()?;
        let verification = reply.into_inner().verification?;
        let state = verification.codes.first()?.mail_state();
        (state == MailState::Accepted).then_some(())
    };
    eventually("the mail to be known as accepted", SOON, accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_a_mail_leaves_two_spans_under_its_callers_and_no_secret_in_them() {
    let server = SmtpServer::start().await;
    let receiver = OtlpReceiver::record().await.unwrap();
    server
        .on(Phase::Rcpt)
        .to("canary-two@mail.example")
        .answer(550, "5.1.1 <canary-two@mail.example> 13572468");
    let (url, endpoint) = (server.url(), receiver.endpoint());
    let environment = [
        ("USHER_MAIL_URL", url.as_str()),
        ("USHER_ADDRESS_KEY_FILE", "address-keys"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let mailer = Alone::start("mailer", &environment).await;
    let mut client = MailerServiceClient::new(mailer.channel());
    let (offers, offered) = mpsc::channel(2);
    let offered = stream::unfold(offered, async |mut offered| {
        Some((offered.recv().await?, offered))
    });
    let mut answers = client.deliver(offered).await.unwrap().into_inner();
    for (email, outcome) in [
        ("canary-one@mail.example", Outcome::Accepted),
        ("canary-two@mail.example", Outcome::Rejected),
    ] {
        let mail = Some(mail(email));
        offers.send(DeliverRequest { mail }).await.unwrap();
        assert_eq!(next_outcome(&mut answers).await, outcome);
    }
    drop((offers, answers));
    let started = Instant::now();
    mailer.terminate().await;
    assert!(started.elapsed() < SOON);

    let spans = receiver.trace(TRACE);
    let delivered = spans.iter().filter(|span| span.name == names::DELIVER);
    let delivered: Vec<_> = delivered.collect();
    let sent = spans.iter().filter(|span| span.name == names::SMTP_SEND);
    let sent: Vec<_> = sent.collect();
    assert_eq!((spans.len(), delivered.len(), sent.len()), (4, 2, 2));
    for (deliver, send) in delivered.iter().zip(&sent) {
        assert_eq!(
            (&deliver.kind, deliver.parent_span_id.as_deref()),
            (&SpanKind::Server, Some(PARENT))
        );
        assert_eq!(
            (&send.kind, send.parent_span_id.as_ref()),
            (&SpanKind::Client, Some(&deliver.span_id))
        );
        assert_eq!(send.attribute(names::SERVER_ADDRESS), Some("127.0.0.1"));
        assert_eq!(
            deliver.attribute(names::USHER_MAIL_OUTCOME),
            send.attribute(names::USHER_MAIL_OUTCOME)
        );
    }
    assert_eq!(sent[0].attribute(names::USHER_SMTP_REPLY_CODE), Some("250"));
    assert_eq!(sent[1].attribute(names::USHER_SMTP_REPLY_CODE), Some("550"));
    assert_eq!(sent[1].attribute(names::ERROR_TYPE), Some("rejected"));
    let everything = receiver.to_text().to_lowercase();
    assert!(everything.contains(names::USHER_MAIL_ATTEMPTS) && everything.contains("accepted"));
    for secret in [
        "canary",
        "canarina",
        "mail.example",
        "13572468",
        "1357 2468",
    ] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

fn mail(email: &str) -> Mail {
    let tomorrow = Clock::default().now() + Duration::from_secs(24 * 60 * 60);
    Mail {
        code_id: Uuid::new_v4().to_string(),
        account_id: Uuid::new_v4().to_string(),
        email: email.to_owned(),
        display_name: "Canarina".to_owned(),
        locale: "en".to_owned(),
        digits: "13572468".to_owned(),
        expires_at: Some(tomorrow.into()),
        attempt: 1,
        traceparent: format!("00-{TRACE}-{PARENT}-01"),
        tracestate: String::new(),
    }
}

/// The outcome of the next result; Hello and pauses are passed over.
async fn next_outcome(answers: &mut Streaming<DeliverResponse>) -> Outcome {
    loop {
        let next = tokio::time::timeout(SOON, answers.message()).await;
        let answer = next.expect("the mailer says something").unwrap().unwrap();
        if let Some(Message::Result(result)) = answer.message {
            return result.outcome();
        }
    }
}
