//! Reads traces from Jaeger, by the API that it keeps stable: `/api/v3`, which answers with OTLP as
//! JSON.

use std::time::Duration;

use clap::Args;
use hyper::StatusCode;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use crate::{
    exit::{Exit, Failure},
    otlp::{Span, spans_of},
    web::{Answered, Web, WebUrl},
};

/// How often it is looked whether more spans have come.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Most traces that a search answers with.
const MOST: &str = "500";

/// Where Jaeger is.
#[derive(Debug, Args)]
pub(crate) struct JaegerArguments {
    /// Jaeger's query service, http://HOST:PORT
    #[arg(
        long,
        env = "USHER_JAEGER_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) jaeger_url: Option<WebUrl>,
}

#[derive(Debug)]
pub(crate) struct Jaeger(Web);

#[derive(Deserialize)]
struct Found {
    result: TracesData,
}

impl Jaeger {
    pub(crate) fn at(url: WebUrl) -> Self {
        Self(Web::at(url))
    }

    pub(crate) fn url(&self) -> &WebUrl {
        self.0.url()
    }

    /// Where a person looks at a trace.
    pub(crate) fn page(&self, trace_id: &str) -> String {
        format!("{}/trace/{trace_id}", self.url())
    }

    /// The spans of a trace that have come by now, by start.
    pub(crate) async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, Failure> {
        self.ask(&format!("/api/v3/traces/{trace_id}")).await
    }

    /// All spans of the traces in which `service` did `operation` between two moments, RFC 3339.
    pub(crate) async fn traces_of(
        &self,
        service: &str,
        operation: &str,
        [from, to]: &[String; 2],
    ) -> Result<Vec<Span>, Failure> {
        let mut query = String::new();
        // Under the old names and those that follow them: what a Jaeger does not know it ignores.
        for (names, value) in [
            (&["service_name", "serviceName"][..], service),
            (&["operation_name", "operationName"], operation),
            (&["start_time_min", "startTimeMin"], from),
            (&["start_time_max", "startTimeMax"], to),
            (&["num_traces", "search_depth", "searchDepth"], MOST),
        ] {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            for name in names {
                query.push_str(&format!("query.{name}={value}&"));
            }
        }
        self.ask(&format!("/api/v3/traces?{}", query.trim_end_matches('&')))
            .await
    }

    /// Looks at the trace until it is `complete` or the time is over; either way what is there.
    pub(crate) async fn wait_for(
        &self,
        trace_id: &str,
        complete: impl Fn(&[Span]) -> bool,
        within: Duration,
    ) -> Result<Vec<Span>, Failure> {
        let deadline = Instant::now() + within;
        loop {
            let found = self.trace(trace_id).await;
            let is_awaited = match &found {
                Ok(spans) => !complete(spans),
                // A program that starts in a cluster has no network in its first moments.
                Err(failure) => failure.exit == Exit::Unavailable,
            };
            if !is_awaited || Instant::now() + LOOK_EVERY > deadline {
                return found;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn ask(&self, path: &str) -> Result<Vec<Span>, Failure> {
        let answered = self.0.get(path).await;
        let answered = answered.map_err(|why| {
            let what = format!("Jaeger does not answer at {}: {why}.", self.url());
            Failure::new(Exit::Unavailable, what).hint(WHERE)
        })?;
        match answered.status {
            StatusCode::OK => {
                let found: Found =
                    serde_json::from_slice(&answered.body).map_err(|_| self.is_none())?;
                let mut spans = spans_of(found.result.resource_spans);
                spans.sort_by_key(|span| span.start);
                Ok(spans)
            }
            // Not that of any other web server.
            StatusCode::NOT_FOUND if said(&answered).is_some() => Ok(Vec::new()),
            _ => Err(self.refused(&answered)),
        }
    }

    fn refused(&self, answered: &Answered) -> Failure {
        let Some(said) = said(answered) else {
            return self.is_none();
        };
        let what = format!(
            "Jaeger at {} answers {}: {said}.",
            self.url(),
            answered.status
        );
        Failure::new(Exit::Failed, what)
    }

    fn is_none(&self) -> Failure {
        let what = format!("What answers at {} is no Jaeger.", self.url());
        Failure::new(Exit::Usage, what).hint(WHERE)
    }
}

const WHERE: &str = "Name its query service (port 16686), not its OTLP port, with --jaeger-url or USHER_JAEGER_URL. In a cluster: \
                     kubectl port-forward service/usher-jaeger 16686";

/// What Jaeger's API says of what it refuses.
fn said(answered: &Answered) -> Option<String> {
    let json: Json = serde_json::from_slice(&answered.body).ok()?;
    let message = json["error"]["message"].as_str()?;
    Some(message.trim_end_matches('.').to_owned())
}
