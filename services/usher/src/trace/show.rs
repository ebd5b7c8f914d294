//! `usher trace show`: a journey as Jaeger has it, drawn as `usher up` draws it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use clap::Args;
use kit::{clock::Timestamp, config::duration, telemetry::names};
use opentelemetry::trace::SpanKind;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    jaeger::{Jaeger, JaegerArguments, LOOK_EVERY},
    steps::{is_rooted, missing_of_sign_up},
    waterfall::render,
};
use crate::{
    exit::{Exit, Failure},
    otlp::{Span, SpanStatus},
    output::Format,
    service::Service,
    terminal::{DIM, WARN, width},
};

/// The call with which every account begins.
const SIGN_UP: &str = "usher.accounts.v1.AccountsService/CreateAccount";
/// So far from an account's beginning its request is looked for: as long as one may wait.
const AROUND: Duration = Duration::from_secs(10);

/// Draw a trace that Jaeger has
///
/// Of a sign-up it is told whether any step is missing, from the request to the mail server. Spans
/// arrive some seconds after what they tell of: it waits for them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher trace show 4bf92f3577b34da6a3ce929d0e0e4736 --jaeger-url http://127.0.0.1:16686
  usher trace show 0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f     # the account's sign-up
  usher trace show 4bf92f3577b34da6a3ce929d0e0e4736 --output json | jq .missing")]
pub(crate) struct ShowTraceArguments {
    /// The trace's id, as a sign-up answers it; or an account's id
    #[arg(value_name = "TRACE", value_parser = Whose::parse)]
    whose: Whose,
    #[command(flatten)]
    jaeger: JaegerArguments,
    /// How long what is missing is waited for, Jaeger itself included
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    wait: Duration,
}

/// Which trace is meant.
#[derive(Debug, Clone)]
enum Whose {
    Trace(String),
    Account(Uuid),
}

impl Whose {
    fn parse(text: &str) -> Result<Self, String> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && text.len() == 32 {
            return Ok(Self::Trace(text.to_ascii_lowercase()));
        }
        let account = Uuid::try_parse(text).map(Self::Account);
        account.map_err(|_| {
            "expected the 32 hexadecimal digits of a trace, or an account's id".to_owned()
        })
    }
}

/// For `--output json`.
#[derive(Debug, Serialize)]
struct ShownTrace<'a> {
    trace_id: &'a str,
    page: String,
    /// Steps of a sign-up that are not there.
    missing: &'a [&'static str],
    spans: Vec<SpanView<'a>>,
}

#[derive(Debug, Serialize)]
struct SpanView<'a> {
    span_id: &'a str,
    parent_span_id: Option<&'a str>,
    service: &'a str,
    instance: &'a str,
    name: &'a str,
    kind: &'static str,
    /// Since the Unix epoch.
    start_microseconds: u128,
    duration_microseconds: u128,
    error: Option<&'a str>,
    attributes: &'a BTreeMap<String, String>,
}

pub(super) async fn run(arguments: ShowTraceArguments, format: Format) -> Result<(), Failure> {
    let url = arguments.jaeger.jaeger_url.ok_or_else(|| {
        let what = "Where is Jaeger? Neither --jaeger-url nor USHER_JAEGER_URL says it.";
        Failure::new(Exit::Usage, what)
            .hint("On this machine it usually is http://127.0.0.1:16686.")
    })?;
    let jaeger = Jaeger::at(url);
    let step = format.progress().step("waiting for spans");
    let trace_id = match arguments.whose {
        Whose::Trace(id) => id,
        Whose::Account(id) => of_account(&jaeger, id, arguments.wait).await?,
    };
    let spans = jaeger.wait_for(&trace_id, is_complete, arguments.wait);
    let spans = spans.await?;
    drop(step);
    if spans.is_empty() {
        return Err(unknown(&jaeger, &format!("trace {trace_id}")));
    }
    let missing = missing(&spans);
    let shown = ShownTrace {
        trace_id: &trace_id,
        page: jaeger.page(&trace_id),
        missing: &missing,
        spans: spans.iter().map(SpanView::of).collect(),
    };
    format.print_named(&shown, [&*trace_id], |shown| {
        format!("{}\n{DIM}{}{DIM:#}", render(&spans, width()), shown.page)
    });
    if !is_complete(&spans) {
        format.warn(format!("{WARN}{}{WARN:#}", lacking(&missing)));
    }
    Ok(())
}

/// The trace in which the account was made.
async fn of_account(jaeger: &Jaeger, account: Uuid, within: Duration) -> Result<String, Failure> {
    let id = account.to_string();
    // An account's id holds the moment at which it was made.
    let Some(made) = account.get_timestamp().map(|at| at.to_unix().0) else {
        let what = format!("{id} is no account's id.");
        return Err(Failure::new(Exit::Usage, what));
    };
    let made = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(made));
    // Its request began before, and may have waited.
    let between = [made - AROUND, made + AROUND].map(|at| at.to_string());
    let deadline = Instant::now() + within;
    loop {
        let spans = jaeger.traces_of(Service::Accounts.name(), SIGN_UP, &between);
        let spans = spans.await?;
        let is_its = |span: &&Span| {
            span.kind == SpanKind::Server && span.attribute(names::USHER_ACCOUNT_ID) == Some(&id)
        };
        if let Some(span) = spans.iter().find(is_its) {
            return Ok(span.trace_id.clone());
        }
        if Instant::now() + LOOK_EVERY > deadline {
            return Err(unknown(jaeger, &format!("sign-up of account {id}")));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether there is nothing more to wait for.
fn is_complete(spans: &[Span]) -> bool {
    is_rooted(spans) && missing(spans).is_empty()
}

/// Of a trace of another kind nothing can be said to be missing.
fn missing(spans: &[Span]) -> Vec<&'static str> {
    match spans.iter().any(|span| span.name == SIGN_UP) {
        true => missing_of_sign_up(spans),
        false => Vec::new(),
    }
}

fn lacking(missing: &[&str]) -> String {
    match missing {
        [] => "The span that caused the first one is not here: its process sends its spans elsewhere, or not at all."
            .to_owned(),
        missing => format!(
            "Not here yet, or never sent: {}. A service that was killed loses its last second of spans; a mail that waits is \
             sent later (`usher account show` tells).",
            missing.join("; ")
        ),
    }
}

fn unknown(jaeger: &Jaeger, what: &str) -> Failure {
    let what = format!("Jaeger at {} has no {what}.", jaeger.url());
    Failure::new(Exit::NotFound, what).hint(
        "Spans arrive some seconds after what they tell of (--wait 30s waits longer). It may have been sampled away, sent to \
         another collector (OTEL_EXPORTER_OTLP_ENDPOINT of the services), or forgotten: a Jaeger in memory keeps its newest \
         traces only, until it is started anew.",
    )
}

impl<'a> SpanView<'a> {
    fn of(span: &'a Span) -> Self {
        Self {
            span_id: &span.span_id,
            parent_span_id: span.parent_span_id.as_deref(),
            service: &span.service,
            instance: &span.instance,
            name: &span.name,
            kind: match span.kind {
                SpanKind::Client => "client",
                SpanKind::Server => "server",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
                SpanKind::Internal => "internal",
            },
            start_microseconds: span.start.as_micros(),
            duration_microseconds: span.duration().as_micros(),
            error: match &span.status {
                SpanStatus::Error(why) => Some(why),
                SpanStatus::Unset | SpanStatus::Ok => None,
            },
            attributes: &span.attributes,
        }
    }
}
