//! What `doctor` looks at, part by part. A check that cannot be made is a finding, never an error.

use std::time::Duration;

use kit::{
    clock::{Clock, Timestamp},
    words,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    broker::{self, BROKER},
    finding::Finding,
    operators,
};
use crate::{
    local::endings::Endings,
    probe::{self, Readiness},
    service::Service,
    session::Session,
};

/// Beyond this, times in answers and logs of two machines cannot be compared.
const SKEW: Duration = Duration::from_secs(3);

/// What runs everything on one machine, as a part and as a fault.
const UP: &str = "usher up";

/// Every finding, in the order of the journey.
pub(super) async fn all(session: &Session) -> Vec<Finding> {
    let mut findings = vec![usher_up(session)];
    let mut answering = Vec::new();
    for service in Service::ALL {
        let (answers, found) = of_service(session, service).await;
        if answers {
            answering.push(service);
        }
        findings.extend(found);
    }
    findings.extend(operators::look(session, &answering).await);
    let is_usable = !findings.iter().any(|finding| finding.fault == BROKER);
    findings.extend(broker::look(session, is_usable).await);
    one_fault_each(&mut findings);
    let places = &session.places;
    if answering.is_empty() && places.run.is_none() && !places.are_named {
        nothing_runs(&mut findings);
    }
    findings
}

/// Not each part is at fault then.
fn nothing_runs(findings: &mut [Finding]) {
    for finding in findings {
        UP.clone_into(&mut finding.fault);
    }
}

/// What one fault makes of other parts is that fault.
fn one_fault_each(findings: &mut [Finding]) {
    let is_there = |fault: &str| findings.iter().any(|finding| finding.fault == fault);
    let of_mails = ["mail server", "mail policy"]
        .into_iter()
        .find(|fault| is_there(fault));
    let mailer_itself = Service::Mailer.name();
    let is_own =
        |finding: &Finding| finding.part == mailer_itself && finding.fault == mailer_itself;
    let mailer_is_well = !findings.iter().any(is_own);
    let Some(of_mails) = of_mails else {
        return;
    };
    for finding in findings {
        let is_felt = finding.fault == operators::MAILS
            // It takes no mails because they cannot go on.
            || finding.fault == mailer_itself && mailer_is_well;
        if is_felt {
            of_mails.clone_into(&mut finding.fault);
        }
    }
}

/// Whether a local system is there, and a folder that was mistyped.
fn usher_up(session: &Session) -> Finding {
    let places = &session.places;
    if let Some(run) = &places.run {
        return Finding::ok(UP, format!("runs as process {}", run.pid));
    }
    let asking = match places.are_named {
        true => "asking where flags and environment say",
        false => "asking the usual places",
    };
    match places.lack() {
        Some(lack) if places.is_data_chosen() && !places.are_named => {
            Finding::problem(UP, format!("{lack}; {asking}"), places.way_to_data())
        }
        Some(lack) => Finding::note(UP, format!("does not run: {lack}; {asking}")),
        None => Finding::note(UP, format!("does not run on this folder; {asking}")),
    }
}

/// Whether the service answers, and what it is found to be like.
async fn of_service(session: &Session, service: Service) -> (bool, Vec<Finding>) {
    let name = service.name();
    let url = session.places.url(service);
    let admin = session.places.admin_url(service);
    let channel = match session.places.channel(service) {
        Ok(channel) => channel,
        Err(failure) => {
            let advice = "Give a URL such as http://HOST:PORT.";
            return (false, vec![Finding::problem(name, failure.message, advice)]);
        }
    };
    let everything = HealthCheckRequest::default();
    let health = HealthClient::new(channel).check(everything).await;
    let is_serving = match health {
        Ok(reply) => reply.get_ref().status() == ServingStatus::Serving,
        // Its admin listener would only say the same once more.
        Err(_) => return (false, vec![does_not_answer(session, service)]),
    };
    let mut findings = Vec::new();
    if is_serving {
        let version = probe::version(admin).await;
        let version = version.map(|version| format!("{version} "));
        let what = format!("{}serves on {url}", version.unwrap_or_default());
        findings.push(Finding::ok(name, what));
    }
    let readiness = probe::readiness(admin).await;
    match &readiness {
        Ok(readiness) => findings.extend(of_readiness(service, readiness)),
        Err(error) => findings.push(Finding::warning(
            name,
            format!(
                "its admin listener {admin} does not answer: {}",
                words::of_chain(error)
            ),
            format!("Name it with --{name}-admin-url; the token does not matter for probes."),
        )),
    }
    let is_explained = readiness.is_ok_and(|readiness| !readiness.is_ready);
    if !is_serving && !is_explained {
        let what = "answers, but says that it is not ready, and not why";
        let advice = log_of(session, service);
        findings.push(Finding::problem(name, what, advice));
    }
    findings.extend(keeps_ending(session, service));
    (true, findings)
}

fn does_not_answer(session: &Session, service: Service) -> Finding {
    let (name, url) = (service.name(), session.places.url(service));
    let means = match service {
        Service::Accounts => "Nobody can sign up; whoever has signed up loses nothing.",
        Service::Verification => {
            "People can sign up, but get no mail, and nobody can confirm a code; nothing is lost."
        }
        Service::Mailer => "People can sign up, but their mails wait; none is lost.",
    };
    let (what, advice) = match (&session.places.run, endings(session, service)) {
        (Some(_), Some(endings)) => (
            format!("does not stay: it {}", endings.told()),
            format!(
                "Mend what it says; `usher up` starts it again by itself. {}",
                log_of(session, service)
            ),
        ),
        (Some(_), None) => (
            format!("does not answer on {url}"),
            format!(
                "`usher up` runs it, and starts it again when it ends. {}",
                log_of(session, service)
            ),
        ),
        (None, _) => (
            format!("does not answer on {url}"),
            format!(
                "Start it (`usher up`, or `usher {name}`), or name its place with --{name}-url."
            ),
        ),
    };
    Finding::problem(name, what, advice).means(means)
}

/// A service that runs, and has ended more than once of late.
fn keeps_ending(session: &Session, service: Service) -> Option<Finding> {
    let endings = endings(session, service).filter(|endings| endings.times > 1)?;
    let what = format!("runs again, but {}", endings.told());
    let advice = log_of(session, service);
    Some(Finding::warning(service.name(), what, advice))
}

fn endings(session: &Session, service: Service) -> Option<Endings> {
    session.places.run.as_ref()?;
    Endings::of_late(&session.places.data, service.name())
}

fn log_of(session: &Session, service: Service) -> String {
    let name = service.name();
    match session.places.run {
        Some(_) => {
            let log = session.places.data.join(format!("logs/{name}.log"));
            format!("Its log says more: {}.", log.display())
        }
        None => format!("The log of {name} says more."),
    }
}

fn of_readiness(service: Service, readiness: &Readiness) -> Vec<Finding> {
    let name = service.name();
    let mut findings = Vec::new();
    if let Some(told) = &readiness.not_ready {
        let mut told = told.clone();
        told.reason = format!("is not ready: {}", told.reason);
        findings.push(Finding::told(name, &told));
    }
    for (dependency, told) in &readiness.degraded {
        let fault = match dependency.as_str() {
            // What it does with its events is its own.
            "outbox" | "consumer" => name,
            other => other,
        };
        findings.push(Finding::told(name, told).caused_by(fault));
    }
    let apart = readiness.now.as_deref().and_then(distance_from_now);
    if let Some(apart) = apart.filter(|apart| *apart > SKEW) {
        let seconds = apart.as_secs();
        findings.push(Finding::warning(
            name,
            format!("its machine's clock is {seconds} s away from this one's"),
            "Synchronise both (NTP): until then, times in logs and answers of the two cannot be compared.",
        ));
    }
    findings
}

fn distance_from_now(moment: &str) -> Option<Duration> {
    let (theirs, ours) = (Timestamp::from_rfc3339(moment)?, Clock::default().now());
    Some(ours.since(theirs).max(theirs.since(ours)))
}
