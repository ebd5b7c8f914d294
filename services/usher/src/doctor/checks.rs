//! What `doctor` looks at, part by part. A check that cannot be made is a finding, never an error.

use std::time::Duration;

use kit::clock::{Clock, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Finding;
use crate::{http, mail, nats, session::Session, target::Service};

/// Beyond this, times in answers and logs of two machines cannot be compared. HTTP's clock has whole seconds.
const SKEW: Duration = Duration::from_secs(3);

/// Every finding, in the order of the journey.
pub(super) async fn all(session: &Session) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &session.places.run {
        Some(run) => findings.push(Finding::ok(
            "usher up",
            format!("runs as process {}", run.pid),
        )),
        None => {
            findings.push(Finding::ok(
                "usher up",
                "does not run on this folder; asking the usual places",
            ));
        }
    }
    for service in Service::ALL {
        findings.extend(of_service(session, service).await);
    }
    findings.extend(operators(session).await);
    findings.extend(broker(session).await);
    findings
}

async fn of_service(session: &Session, service: Service) -> Vec<Finding> {
    let (name, url, admin) = (
        service.name(),
        session.places.url(service),
        session.places.admin_url(service),
    );
    let mut findings = Vec::new();
    let health = match session.places.channel(service) {
        Ok(channel) => {
            HealthClient::new(channel)
                .check(HealthCheckRequest {
                    service: String::new(),
                })
                .await
        }
        Err(failure) => {
            findings.push(Finding::problem(
                name,
                failure.message,
                "Give a URL such as http://HOST:PORT.",
            ));
            return findings;
        }
    };
    match health {
        Ok(reply) if reply.get_ref().status() == ServingStatus::Serving => {
            let version = version(admin)
                .await
                .map_or_else(String::new, |version| format!("{version} "));
            findings.push(Finding::ok(name, format!("{version}serves on {url}")));
        }
        Ok(_) => findings.push(Finding::problem(
            name,
            "answers, but is not ready",
            "Its readiness, below, says why.",
        )),
        Err(status) => {
            let start = format!(
                "Start it (`usher up`, or `usher {name}`), or name its place with --{name}-url."
            );
            let what = format!("does not answer on {url} ({:?})", status.code());
            findings.push(Finding::problem(name, what, start));
            return findings;
        }
    }
    findings.extend(readiness(name, admin).await);
    findings
}

async fn readiness(name: &'static str, admin: &str) -> Vec<Finding> {
    let reply = match http::get(admin, "/readyz").await {
        Ok(reply) => reply,
        Err(error) => {
            let advice =
                format!("Name it with --{name}-admin-url; the token does not matter for probes.");
            return vec![Finding::warning(
                name,
                format!("admin listener {admin}: {error:#}"),
                advice,
            )];
        }
    };
    let report: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let mut findings = Vec::new();
    if reply.status != 200 {
        let reason = report["reason"]
            .as_str()
            .unwrap_or("no reason given")
            .to_owned();
        let advice =
            format!("`usher migrate` brings tables up to date; else look into the log of {name}.");
        findings.push(Finding::problem(
            name,
            format!("is not ready: {reason}"),
            advice,
        ));
    }
    for (dependency, why) in report["degraded"].as_object().into_iter().flatten() {
        let why = why.as_str().unwrap_or_default();
        let advice = format!("Bring {dependency} back; work waits meanwhile and nothing is lost.");
        findings.push(Finding::problem(
            name,
            format!("misses {dependency}: {why}"),
            advice,
        ));
    }
    findings.extend(reply.date.as_deref().and_then(|date| skew(name, date)));
    findings
}

fn skew(name: &'static str, date: &str) -> Option<Finding> {
    let theirs = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok()?;
    let theirs = Timestamp(theirs.unix_timestamp() * 1_000_000);
    let ours = Clock::default().now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    (apart > SKEW).then(|| {
        let what = format!(
            "its machine's clock is {} s away from this one's",
            apart.as_secs()
        );
        Finding::warning(
            name,
            what,
            "Synchronise both (NTP): times of different machines cannot be compared.",
        )
    })
}

/// From `target_info` of `/metrics`.
async fn version(admin: &str) -> Option<String> {
    let metrics = http::get(admin, "/metrics").await.ok()?.body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("target_info"))?;
    let (_, rest) = line.split_once("service_version=\"")?;
    rest.split_once('"').map(|(version, _)| version.to_owned())
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
    let mut findings = vec![Finding::ok("admin token", "is accepted")];
    let failed = attempts
        .iter()
        .filter(|attempt| attempt.outcome != "ACCEPTED")
        .count();
    findings.push(match failed {
        0 => Finding::ok(
            "mails",
            format!(
                "{} of the newest {} attempts accepted",
                attempts.len(),
                attempts.len()
            ),
        ),
        failed => Finding::warning(
            "mails",
            format!(
                "{failed} of the newest {} attempts were not accepted",
                attempts.len()
            ),
            "`usher mail list` shows what the mail server said.",
        ),
    });
    findings
}

async fn broker(session: &Session) -> Vec<Finding> {
    const PART: &str = "nats-server";
    let status = match nats::connect(&session.places.nats_url).await {
        Ok(bus) => nats::status(&bus).await,
        Err(failure) => {
            return vec![Finding::problem(
                PART,
                failure.message,
                failure.hint.unwrap_or_default(),
            )];
        }
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let advice = "Start it with JetStream (`nats-server -js`), and look into its log.";
            return vec![Finding::problem(
                PART,
                format!("JetStream does not answer: {error:#}"),
                advice,
            )];
        }
    };
    let mut findings = vec![Finding::ok(
        PART,
        format!("{} with JetStream", status.server),
    )];
    let differ =
        |what: &String| Finding::problem(PART, what.clone(), "`usher nats provision` corrects it.");
    findings.extend(status.drift.iter().map(differ));
    for stream in &status.streams {
        let durables = stream
            .durables
            .iter()
            .filter(|durable| durable.pending > 1_000 || durable.redelivered > 0);
        findings.extend(durables.map(|durable| {
            let (waiting, again) = (durable.pending, durable.redelivered);
            let what = format!(
                "{} reads {} with {waiting} unread, {again} redelivered",
                durable.name, stream.name
            );
            Finding::warning(
                PART,
                what,
                format!(
                    "Look into the log of {}; more replicas read faster.",
                    durable.name
                ),
            )
        }));
        if stream.name == proto::streams::DEAD_LETTERS.name && stream.messages > 0 {
            let what = format!(
                "{} dead letters: messages that nobody could handle",
                stream.messages
            );
            findings.push(Finding::warning(
                PART,
                what,
                "The reason is in each one's headers: `nats stream view DEAD_LETTERS`.",
            ));
        }
    }
    findings
}
