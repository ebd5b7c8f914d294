//! What others see of a sign-up: its trace, and no secret anywhere.

use kit::{
    telemetry::names,
    testing::{SOON, eventually},
};
use opentelemetry::trace::SpanKind;
use rustix::process::Signal;
use usher::otlp::{OtlpReceiver, Span};

use super::{
    super::ground::{Ground, Kind, code_in},
    ADA,
};
use crate::traces::is_whole;

pub(in crate::dispatchers) async fn the_trace_is_whole_from_the_caller_to_the_mail(kind: Kind) {
    let receiver = OtlpReceiver::record().await.unwrap();
    // Not even where foreign traces are only linked to: the news is no stranger's.
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("RUST_LOG", "off"),
    ];
    let ground = Ground::start(kind, &settings).await;
    ground.sign_up(ADA).await.unwrap();
    ground.code_for(ADA).await;
    let created = async || {
        let wanted = |span: &Span| span.name.starts_with("create accounts.v1.account_created");
        receiver.matching(wanted).into_iter().next()
    };
    let creation = eventually("the creation's span", SOON, created).await;
    let complete = |spans: &[Span]| is_whole(spans, names::SMTP_SEND);
    let spans = receiver.wait_for_trace(&creation.trace_id, complete, SOON);
    let spans = spans
        .await
        .unwrap_or_else(|spans| panic!("not whole: {spans:#?}"));
    let mail = spans.iter().find(|span| span.name == names::SMTP_SEND);
    let mut way = vec![mail.unwrap()];
    while let Some(parent) = &way[way.len() - 1].parent_span_id {
        way.extend(spans.iter().find(|span| span.span_id == *parent));
    }
    let root = way[way.len() - 1];
    assert!(root.name.ends_with("/CreateAccount"), "{way:#?}");
    assert!(way.iter().any(|span| span.span_id == creation.span_id));
    let process = way.iter().find(|span| span.kind == SpanKind::Consumer);
    let process = process.expect("the news is processed");
    assert_eq!(process.service, "verification");
}

pub(in crate::dispatchers) async fn i16_no_token_address_or_code_is_seen_at_any_log_level(
    kind: Kind,
) {
    let receiver = OtlpReceiver::record().await.unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.endpoint()),
        ("RUST_LOG", "trace"),
        ("USHER_BACKGROUND_ATTEMPTS", "2"),
    ];
    let mut ground = Ground::start(kind, &settings).await;
    let canary = "canary.zq7xw@example.com";
    ground.stop("verification", Signal::KILL);
    ground.sign_up(canary).await.unwrap();
    ground.start_again("verification").await;
    ground.sign_up(canary).await.unwrap();
    ground.code_for(canary).await;
    let code = code_in(&ground.mails_to(canary)[0]);
    let mut seen = vec![("spans", receiver.to_text())];
    for service in ["accounts", "verification"] {
        let (_, metrics) = ground.ask(service, "/metrics").await.unwrap();
        let (_, readiness) = ground.ask(service, "/readyz").await.unwrap();
        seen.extend([("metrics", metrics), ("readiness", readiness)]);
        ground.stop(service, Signal::TERM);
        let log = ground.log(service);
        assert!(log.contains(" TRACE "), "all of the log is looked at");
        seen.push((service, log));
    }
    seen.push(("spans at the end", receiver.to_text()));
    let token = ground.secret("admin-token");
    let digits = code.replace(' ', "");
    for (place, text) in seen {
        let text = text.to_lowercase();
        for (what, secret) in [
            ("address", "canary.zq7xw"),
            ("token", &*token.to_lowercase()),
            ("code", &*code),
            ("digits", &*digits),
        ] {
            assert!(!text.contains(secret), "the {what} is in {place}");
        }
    }
}
