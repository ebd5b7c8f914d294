//! What `doctor` finds of nats-server: whether it answers, and its streams and durables.

use kit::{
    bus::{self, Sight},
    serve::Degraded,
    words,
};

use super::finding::Finding;
use crate::{
    broker,
    nats::{self, Difference, StreamStatus},
    session::Session,
};

/// The fault, as services call what they miss.
pub(super) const BROKER: &str = "broker";
const PART: &str = "nats-server";
const MEANS: &str = "People can sign up and confirm their codes, but who signs up now gets no mail until this is mended; \
                     nothing is lost.";

/// `is_usable` says whether the services can use it.
pub(super) async fn look(session: &Session, is_usable: bool) -> Vec<Finding> {
    let problem = |what: String, advice: String| {
        let finding = Finding::problem(PART, what, advice);
        vec![finding.means(MEANS).caused_by(BROKER)]
    };
    let log = session.places.broker_log();
    let bus = match broker::connect(&session.places.broker, log.as_deref()).await {
        Ok(bus) => bus,
        Err(failure) => return problem(failure.message, failure.hint.unwrap_or_default()),
    };
    if let Some(sight) = bus::look(&bus).await.filter(Sight::is_dead) {
        let Degraded { reason, advice } = sight.told();
        return problem(reason, advice);
    }
    let status = match nats::status(&bus).await {
        Ok(status) => status,
        Err(error) => {
            let what = format!("JetStream does not answer: {}", words::of_chain(&error));
            let advice = "Look into nats-server's log, and restart it.";
            return problem(what, advice.to_owned());
        }
    };
    let version = status.server;
    let mut findings = vec![match is_usable {
        true => Finding::ok(PART, format!("{version} with JetStream")),
        false => Finding::warning(
            PART,
            format!("{version} answers, but the services cannot use it"),
            "What they say of it, above, is to be mended.",
        ),
    }];
    for difference in status.drift {
        let Difference { what, advice } = difference;
        findings.push(Finding::problem(PART, what, advice).caused_by(BROKER));
    }
    for stream in &status.streams {
        findings.extend(of_stream(stream));
    }
    findings
}

fn of_stream(stream: &StreamStatus) -> Vec<Finding> {
    let mut findings = Vec::new();
    for durable in &stream.durables {
        let (waiting, again) = (durable.pending, durable.redelivered);
        if waiting > 1_000 || again > 0 {
            let (reader, stream) = (&durable.name, &stream.name);
            let what = format!(
                "{reader} is behind in stream {stream}: {waiting} unread, {again} handed out more than once"
            );
            let advice = format!(
                "It catches up by itself, and more replicas read faster. If the numbers stay, the log of {reader} says why."
            );
            let finding = Finding::warning(PART, what, advice);
            findings.push(
                finding.means("Some who signed up wait for what comes next; nothing is lost."),
            );
        }
    }
    findings
}
