//! The span around one mail's conversation with the mail server: its class, never an address.

use kit::telemetry::{names, span};
use opentelemetry::{Context, KeyValue, trace::TraceContextExt as _};

use super::Outcome;
use crate::{
    domain::TEMPLATE,
    transport::{Ending, Sent, Transport},
};

/// Starts it under the mail's own span.
pub(super) fn start(transport: &Transport, attempt: i32) -> Context {
    let attempt = KeyValue::new(names::USHER_ATTEMPT, i64::from(attempt));
    let template = KeyValue::new(names::USHER_MAIL_TEMPLATE, TEMPLATE);
    let parent = Context::current();
    match transport {
        Transport::Smtp(smtp) => {
            let (host, port) = smtp.server();
            let address = KeyValue::new(names::SERVER_ADDRESS, host.to_owned());
            let port = KeyValue::new(names::SERVER_PORT, i64::from(port));
            span::client(
                names::SMTP_SEND,
                &parent,
                [attempt, template, address, port],
            )
        }
        Transport::Folder(_) => span::internal(names::FILE_WRITE, &parent, [attempt, template]),
    }
}

pub(super) fn end(cx: &Context, sent: &Sent, outcome: Outcome) {
    span::set(cx, KeyValue::new(names::USHER_MAIL_OUTCOME, outcome.word()));
    if let Some(code) = sent.code {
        span::set(
            cx,
            KeyValue::new(names::USHER_SMTP_REPLY_CODE, i64::from(code)),
        );
    }
    match sent.ending {
        Ending::Accepted => span::end(cx),
        Ending::RecipientRefused(_) => span::fail(cx, "rejected"),
        Ending::NotNow(cause) | Ending::Unknown(cause) => span::fail(cx, cause.as_str()),
    }
}

/// The current trace for operators; empty when there is none.
pub(super) fn trace_id(cx: &Context) -> String {
    let span = cx.span().span_context().clone();
    if span.is_valid() {
        span.trace_id().to_string()
    } else {
        String::new()
    }
}
