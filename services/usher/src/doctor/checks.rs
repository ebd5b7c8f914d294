//! What `doctor` looks at, part by part. A check that cannot be made is a finding, never an error.

use std::time::Duration;

use kit::clock::{Clock, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::finding::Finding;
use crate::{
    dlq, mail,
    nats::{self, Difference, StreamStatus},
    probe::{self, Readiness},
    service::Service,
    session::Session,
};

/// Beyond this, times in answers and logs of two machines cannot be compared. HTTP's clock has
/// whole seconds.
const SKEW: Duration = Duration::from_secs(3);
const BROKER: &str = "nats-server";

/// Every finding, in the order of the journey.
pub(super) async fn all(session: &Session) -> Vec<Finding> {
    let up = match &session.places.run {
        Some(run) => format!("runs as process {}", run.pid),
        None => "does not run on this folder; asking the usual places".to_owned(),
    };
    let mut findings = vec![Finding::ok("usher up", up)];
    for service in Service::ALL {
        findings.extend(of_service(session, service).await);
    }
    findings.extend(operators(session).await);
    findings.extend(broker(session).await);
    findings
}

async fn of_service(session: &Session, service: Service) -> Vec<Finding> {
    let name = service.name();
    let url = session.places.url(service);
    let admin = session.places.admin_url(service);
    let channel = match session.places.channel(service) {
        Ok(channel) => channel,
        Err(failure) => {
            let advice = "Give a URL such as http://HOST:PORT.";
            return vec![Finding::problem(name, failure.message, advice)];
        }
    };
    let everything = HealthCheckRequest::default();
    let health = HealthClient::new(channel).check(everything).await;
    let first = match health {
        Ok(reply) if reply.get_ref().status() == ServingStatus::Serving => {
            match probe::version(admin).await {
                Some(version) => Finding::ok(name, format!("{version} serves on {url}")),
                None => Finding::ok(name, format!("serves on {url}")),
            }
        }
        Ok(_) => Finding::problem(
            name,
            "answers, but is not ready",
            "Its readiness, below, says why.",
        ),
        Err(status) => {
            let start = format!(
                "Start it (`usher up`, or `usher {name}`), or name its place with --{name}-url."
            );
            let what = format!("does not answer on {url} ({:?})", status.code());
            // Its admin listener would only say the same once more.
            return vec![Finding::problem(name, what, start)];
        }
    };
    let mut findings = vec![first];
    match probe::readiness(admin).await {
        Ok(readiness) => findings.extend(of_readiness(name, &readiness)),
        Err(error) => findings.push(Finding::warning(
            name,
            format!("admin listener {admin}: {error:#}"),
            format!("Name it with --{name}-admin-url; the token does not matter for probes."),
        )),
    }
    findings
}

fn of_readiness(name: &'static str, readiness: &Readiness) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !readiness.is_ready {
        let reason = readiness.reason.as_deref().unwrap_or("no reason given");
        let log = || format!("Look into the log of {name}.");
        let advice = readiness.advice.clone().unwrap_or_else(log);
        let what = format!("is not ready: {reason}");
        findings.push(Finding::problem(name, what, advice));
    }
    for (dependency, why) in &readiness.degraded {
        let (finding, advice) = match dependency.as_str() {
            "mail server" => (
                format!("cannot use the mail server: {why}"),
                "Mend what it says, in USHER_MAIL_URL or at the mail server; mails wait meanwhile and none is lost."
                    .to_owned(),
            ),
            "mail policy" => (
                why.clone(),
                "Mend what it says; mails wait meanwhile. `usher mail list` shows what the mail server said."
                    .to_owned(),
            ),
            _ => (
                format!("misses {dependency}: {why}"),
                format!("Bring {dependency} back; work waits meanwhile and nothing is lost."),
            ),
        };
        findings.push(Finding::problem(name, finding, advice));
    }
    let apart = readiness.date.as_deref().and_then(distance_from_now);
    if let Some(apart) = apart.filter(|apart| *apart > SKEW) {
        let seconds = apart.as_secs();
        findings.push(Finding::warning(
            name,
            format!("its machine's clock is {seconds} s away from this one's"),
            "Synchronise both (NTP): times of different machines cannot be compared.",
        ));
    }
    findings
}

fn distance_from_now(date: &str) -> Option<Duration> {
    // HTTP says GMT where RFC 2822 has a number.
    let theirs = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok()?;
    let theirs = Timestamp(theirs.unix_timestamp() * 1_000_000);
    let ours = Clock::default().now();
    Some(ours.since(theirs).max(theirs.since(ours)))
}

/// The token, tried where it is needed; and mails that did not get through.
async fn operators(session: &Session) -> Vec<Finding> {
    let attempts = match mail::view::read(session, "", 200).await {
        Ok(attempts) => attempts,
        Err(failure) => {
            let advice = failure.hint.unwrap_or_else(|| "See above.".to_owned());
            return vec![Finding::problem("admin token", failure.message, advice)];
        }
    };
    let newest = attempts.len();
    let mut failed = attempts;
    failed.retain(|attempt| attempt.outcome != "ACCEPTED");
    let mails = match failed.len() {
        0 => Finding::ok(
            "mails",
            format!("{newest} of the newest {newest} attempts accepted"),
        ),
        failed => Finding::warning(
            "mails",
            format!("{failed} of the newest {newest} attempts were not accepted"),
            "`usher mail list` shows what the mail server said.",
        ),
    };
    let mut findings = vec![Finding::ok("admin token", "is accepted"), mails];
    findings.extend(dead_letters(session).await);
    findings
}

/// Events that nobody could handle; nothing where there is none.
async fn dead_letters(session: &Session) -> Option<Finding> {
    const LETTERS: &str = "dead letters";
    match dlq::count(session, 500).await {
        Ok(0) => None,
        Ok(number) => Some(Finding::warning(
            LETTERS,
            format!("{number} events that no handler could use"),
            "`usher dlq list` shows why; `usher dlq replay` handles them again, `usher dlq drop` deletes them.",
        )),
        Err(failure) => {
            let advice = failure.hint.unwrap_or_else(|| "See above.".to_owned());
            Some(Finding::problem(LETTERS, failure.message, advice))
        }
    }
}

async fn broker(session: &Session) -> Vec<Finding> {
    let bus = match nats::connect(&session.places.nats_url).await {
        Ok(bus) => bus,
        Err(failure) => {
            let advice = failure.hint.unwrap_or_default();
            return vec![Finding::problem(BROKER, failure.message, advice)];
        }
    };
    let status = match nats::status(&bus).await {
        Ok(status) => status,
        Err(error) => {
            let what = format!("JetStream does not answer: {error:#}");
            let advice = "Start it with JetStream (`nats-server -js`), and look into its log.";
            return vec![Finding::problem(BROKER, what, advice)];
        }
    };
    let what = format!("{} with JetStream", status.server);
    let mut findings = vec![Finding::ok(BROKER, what)];
    for difference in status.drift {
        let Difference { what, advice } = difference;
        findings.push(Finding::problem(BROKER, what, advice));
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
            findings.push(Finding::warning(
                BROKER,
                format!("{reader} reads {stream} with {waiting} unread, {again} redelivered"),
                format!("Look into the log of {reader}; more replicas read faster."),
            ));
        }
    }
    findings
}
