//! A mail's part of its journey's trace, as a collector receives it from the process.

use std::time::Instant;

use kit::{
    telemetry::names,
    testing::{OtlpReceiver, Phase, SOON, SmtpServer},
};
use opentelemetry::trace::SpanKind;
use proto::mailer::Outcome;

use crate::{client::mail, world::World};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[tokio::test]
async fn i16_a_mail_leaves_two_spans_under_its_callers_and_no_secret_in_them() {
    let (server, receiver) = (
        SmtpServer::start().await,
        OtlpReceiver::record().await.unwrap(),
    );
    server
        .on(Phase::Rcpt)
        .to("canary-two@mail.example")
        .answer(550, "5.1.1 <canary-two@mail.example> 13572468");
    let world = World::before(&server);
    let telemetry = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let process = world.process(&telemetry).await;
    let mut delivery = process.client().open().await;
    for (email, outcome) in [
        ("canary-one@mail.example", Outcome::Accepted),
        ("canary-two@mail.example", Outcome::Rejected),
    ] {
        let mut offered = mail(email);
        offered.display_name = "Canarina".to_owned();
        offered.traceparent = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(delivery.deliver(offered).await.outcome(), outcome);
    }
    drop(delivery);
    let started = Instant::now();
    process.terminate().await;
    assert!(started.elapsed() < SOON);

    let spans = receiver.trace(TRACE);
    let delivered: Vec<_> = spans
        .iter()
        .filter(|span| span.name == names::DELIVER)
        .collect();
    let sent: Vec<_> = spans
        .iter()
        .filter(|span| span.name == names::SMTP_SEND)
        .collect();
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
