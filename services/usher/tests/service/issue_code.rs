//! The trace of an account that verification is told of by a call: it goes on as through an event,
//! for whoever has the token, whatever becomes of strangers' traces.

use kit::{clock::Clock, testing::SOON};
use opentelemetry::trace::SpanKind;
use proto::verification::{
    IssueCodeRequest, MailState, verification_service_client::VerificationServiceClient,
};
use tonic::{Code, Request};
use usher::otlp::{OtlpReceiver, Span};

use crate::{alone::Alone, mailer::Mailer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const STRANGERS: &str = "1bf7651916cd43dd8448eb211c80319d";
const PARENT: &str = "b7ad6b7169203331";

fn request(token: &str, trace: &str) -> Request<IssueCodeRequest> {
    let clock = Clock::default();
    let mut request = Request::new(IssueCodeRequest {
        account_id: clock.uuid_v7().to_string(),
        email: "canary.address@example.org".to_owned(),
        display_name: "Canarina".to_owned(),
        locale: "en".to_owned(),
        account_created_at: Some(clock.now().into()),
        await_mail: true,
    });
    let bearer = format!("Bearer {token}").parse().unwrap();
    let parent = format!("00-{trace}-{PARENT}-01").parse().unwrap();
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer);
    metadata.insert("traceparent", parent);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_an_account_goes_on_through_the_call_that_tells_of_it_into_code_and_mail() {
    for callers in ["link", "continue"] {
        goes_on(callers).await;
    }
}

async fn goes_on(callers: &str) {
    let receiver = OtlpReceiver::record().await.unwrap();
    let mailer = Mailer::start().await;
    let (endpoint, mailer_url) = (receiver.endpoint(), mailer.url());
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("USHER_CALLER_TRACES", callers),
        ("RUST_LOG", "off"),
        ("USHER_MAILER_URL", mailer_url.as_str()),
        ("USHER_CODE_KEYS_FILE", "code-keys"),
        ("USHER_DELIVERY_TICK", "50ms"),
    ];
    let verification = Alone::start("verification", &environment).await;
    let mut client = VerificationServiceClient::new(verification.channel());
    let asked = request(&verification.token(), TRACE);
    let account_id = asked.get_ref().account_id.clone();
    let issued = client.issue_code(asked).await.unwrap().into_inner();
    assert_eq!(issued.mail_state(), MailState::Accepted);
    let mail = mailer.mail(&account_id).await;

    let complete = |spans: &[Span]| spans.iter().any(|span| span.name == "deliver");
    let spans = receiver.wait_for_trace(TRACE, complete, SOON).await;
    let spans = spans.unwrap();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let process = named("process accounts.v1.account_created");
    let deliver = named("deliver");
    assert_eq!(
        (process.kind.clone(), process.parent_span_id.as_deref()),
        (SpanKind::Consumer, Some(PARENT)),
        "{callers}"
    );
    assert!(process.links.iter().any(|link| link.span_id == PARENT));
    assert_eq!(process.attributes["usher.account.id"], account_id);
    let store = named("store verifications");
    assert_eq!(store.parent_span_id.as_ref(), Some(&process.span_id));
    assert_eq!(
        (deliver.kind.clone(), deliver.parent_span_id.as_ref()),
        (SpanKind::Client, Some(&process.span_id))
    );
    assert_eq!(deliver.attributes["usher.code.id"], issued.code_id);
    let sent = format!("00-{TRACE}-{}-01", deliver.span_id);
    assert_eq!(mail.traceparent, sent);

    let refused = client.issue_code(request("guess", STRANGERS)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let said = verification.terminate().await;
    let of_strangers = receiver.trace(STRANGERS);
    let begun_there = of_strangers
        .iter()
        .any(|span| span.kind != SpanKind::Server);
    assert!(!begun_there, "a stranger's trace goes on: {of_strangers:?}");
    let exported = receiver.to_text();
    for (what, text) in [("the export", &exported), ("the log", &said)] {
        for secret in ["canar", "Canar", &mail.digits] {
            assert!(!text.contains(secret), "i16: {what} holds {secret:?}");
        }
    }
}
