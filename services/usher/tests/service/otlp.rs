//! The OTLP receiver: what it keeps, and what it says when a trace does not get complete.

use std::{collections::HashMap, time::Duration};

use kit::testing::SOON;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use usher::otlp::OtlpReceiver;

fn request(names: impl Iterator<Item = String>) -> ExportTraceServiceRequest {
    let span = |name| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: names.map(span).collect(),
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

#[tokio::test]
async fn the_oldest_spans_make_room_for_new_ones() {
    let receiver = OtlpReceiver::bind(([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let mut client = TraceServiceClient::connect(receiver.endpoint())
        .await
        .unwrap();
    client
        .export(request((0..60_000).map(|number| number.to_string())))
        .await
        .unwrap();

    let spans = receiver.spans();
    assert_eq!(spans.len(), 50_000);
    assert_eq!(
        (spans[0].name.as_str(), spans[49_999].name.as_str()),
        ("10000", "59999")
    );
    assert_eq!(
        receiver.counts(),
        HashMap::from([("01".repeat(16), 50_000)])
    );
    assert!(
        receiver.to_text().is_empty(),
        "requests are kept only when recording"
    );
}

#[tokio::test]
async fn a_trace_is_waited_for_until_it_is_complete_or_the_deadline_passes() {
    let receiver = OtlpReceiver::record().await.unwrap();
    let trace = "01".repeat(16);
    let mut client = TraceServiceClient::connect(receiver.endpoint())
        .await
        .unwrap();
    let two = receiver.wait_for_trace(&trace, |spans| spans.len() == 2, SOON);
    let send = async {
        client
            .export(request(["one".to_owned()].into_iter()))
            .await
            .unwrap();
        client
            .export(request(["two".to_owned()].into_iter()))
            .await
            .unwrap();
    };
    let (two, ()) = tokio::join!(two, send);
    assert_eq!(two.unwrap().len(), 2);

    let three = receiver
        .wait_for_trace(&trace, |spans| spans.len() == 3, Duration::from_millis(50))
        .await;
    assert_eq!(three.unwrap_err().len(), 2);
    assert!(receiver.to_text().contains("\"one\""));
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = OtlpReceiver::record().await.unwrap();
    let address = taken.endpoint().replace("http://", "");
    let refused = OtlpReceiver::bind(address.parse().unwrap())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains(&address));
}
