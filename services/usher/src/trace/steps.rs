//! The steps of a sign-up that its trace has to show, each caused by another one, from the caller's
//! request to the mail server; and which of them a trace lacks.

use std::collections::BTreeSet;

use kit::telemetry::names;
use opentelemetry::trace::SpanKind;

use crate::{otlp::Span, service::Service};

/// A span that there has to be.
struct StepOf {
    service: Service,
    kinds: &'static [SpanKind],
    name: fn(&str) -> bool,
    /// Which of the steps caused it; none for the first.
    cause: Option<usize>,
    spoken: &'static str,
}

const STEPS: [StepOf; 7] = [
    StepOf {
        service: Service::Accounts,
        kinds: &[SpanKind::Server],
        name: |name| name.ends_with("/CreateAccount") || name.ends_with("/CreateAccounts"),
        cause: None,
        spoken: "accounts: CreateAccount",
    },
    StepOf {
        service: Service::Accounts,
        kinds: &[SpanKind::Producer],
        name: |name| is_of_event(name, names::CREATE),
        cause: Some(0),
        spoken: "accounts: create account_created",
    },
    StepOf {
        service: Service::Accounts,
        kinds: &[SpanKind::Client],
        name: |name| is_of_event(name, names::PUBLISH),
        cause: Some(1),
        spoken: "accounts: publish account_created",
    },
    StepOf {
        service: Service::Verification,
        kinds: &[SpanKind::Consumer],
        name: |name| is_of_event(name, names::PROCESS),
        cause: Some(1),
        spoken: "verification: process account_created",
    },
    StepOf {
        service: Service::Verification,
        kinds: &[SpanKind::Client],
        name: |name| name == names::DELIVER,
        cause: Some(3),
        spoken: "verification: deliver",
    },
    StepOf {
        service: Service::Mailer,
        kinds: &[SpanKind::Server],
        name: |name| name == names::DELIVER,
        cause: Some(4),
        spoken: "mailer: deliver",
    },
    StepOf {
        service: Service::Mailer,
        kinds: &[SpanKind::Client, SpanKind::Internal],
        name: |name| matches!(name, names::SMTP_SEND | names::FILE_WRITE),
        cause: Some(5),
        spoken: "mailer: smtp send",
    },
];

fn is_of_event(name: &str, operation: &str) -> bool {
    let event = name.strip_prefix(operation);
    event.is_some_and(|event| event.ends_with(".account_created"))
}

/// Steps of a sign-up that are not there, or not as the effect of the one that causes them.
pub(crate) fn missing_of_sign_up(spans: &[Span]) -> Vec<&'static str> {
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    let mut missing = Vec::new();
    for step in &STEPS {
        let is_caused = |span: &Span| match step.cause {
            None => true,
            Some(cause) => {
                let parent = span.parent_span_id.as_deref();
                parent.is_some_and(|parent| found[cause].contains(parent))
            }
        };
        let is_it = |span: &&Span| {
            span.service == step.service.name()
                && step.kinds.contains(&span.kind)
                && (step.name)(&span.name)
                && is_caused(span)
        };
        let these: BTreeSet<&str> = spans
            .iter()
            .filter(is_it)
            .map(|span| span.span_id.as_str())
            .collect();
        if these.is_empty() {
            missing.push(step.spoken);
        }
        found.push(these);
    }
    missing
}

/// Whether every span's cause is there, up to a root.
pub(crate) fn is_rooted(spans: &[Span]) -> bool {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    let mut parents = spans.iter().map(|span| span.parent_span_id.as_deref());
    parents.clone().any(|parent| parent.is_none())
        && parents.all(|parent| parent.is_none_or(|parent| ids.contains(parent)))
}
