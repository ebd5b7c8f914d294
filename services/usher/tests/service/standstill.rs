//! Each way in which work stands still, provoked on a whole system: readiness says so within 30 s,
//! and `doctor` with what to do. Prints its table.

mod doctor;
mod ground;
mod how;
mod ways;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::join_all};
use kit::testing::{Proxy, SmtpServer, eventually};
use serde_json::Value;

use ground::Ground;
use ways::{ALL, Says, Way};

use crate::{canary::metrics, world::World};

/// I20.
const KNOWN: Duration = Duration::from_secs(30);

/// One line of the table.
struct Seen {
    what: &'static str,
    readiness: (Duration, String),
    doctor: (Duration, String),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i20_readiness_and_doctor_know_within_30_s_of_each_way_in_which_work_stands_still() {
    let (mut seen, mut failed) = (Vec::new(), 0);
    // A few systems at a time: each is three services and a broker.
    for ways in ALL.chunks(10) {
        let looks = ways
            .iter()
            .map(|way| AssertUnwindSafe(look(way)).catch_unwind());
        for look in join_all(looks).await {
            match look {
                Ok(line) => seen.extend(line),
                Err(_) => failed += 1, // its panic has been printed
            }
        }
    }
    let mut table = String::new();
    for Seen {
        what,
        readiness,
        doctor,
    } in &seen
    {
        table += &format!(
            "{what}\n  readyz {:>4.1} s  {}\n  doctor {:>4.1} s  {}\n",
            readiness.0.as_secs_f64(),
            readiness.1,
            doctor.0.as_secs_f64(),
            doctor.1
        );
    }
    let _ = write!(io::stderr(), "\n{table}\n");
    assert_eq!(failed, 0, "see above");
    assert!(seen.len() >= ALL.len() - ways::NEED_ROOT_OR_POSTGRES);
}

/// Alarms look at the metrics: what each service says of each of its dependencies.
#[tokio::test]
async fn i20_what_is_degraded_is_1_in_the_metrics_within_30_s_and_0_once_it_is_well_again() {
    let smtp = SmtpServer::start().await;
    let to_smtp = Proxy::before(smtp.url(), 1).await;
    let world = World::start(&[("USHER_MAIL_URL", &to_smtp.url(&smtp.url()))]).await;
    let degraded = |service: &str| {
        let admin = world.run_file()[service]["admin_url"].clone();
        let text = metrics(admin.as_str().expect("the run file says where"));
        let text = String::from_utf8_lossy(&text).into_owned();
        let gauges = text.lines().filter_map(|line| {
            let (name, value) = line
                .strip_prefix("usher_dependency_degraded{usher_dependency=\"")?
                .split_once("\"} ")?;
            Some((name.to_owned(), value.to_owned()))
        });
        let mut all: BTreeMap<String, String> = gauges.collect();
        assert!(
            all.contains_key("broker") || all.contains_key("mail server"),
            "{text}"
        );
        all.retain(|_, value| value != "0");
        all
    };
    let until = async |service: &str, expected: &[&str]| {
        let expected = expected
            .iter()
            .map(|name| ((*name).to_owned(), "1".to_owned()));
        let expected: BTreeMap<String, String> = expected.collect();
        eventually(&format!("{service}: {expected:?}"), KNOWN, async || {
            (degraded(service) == expected).then_some(())
        })
        .await;
    };
    for service in ["accounts", "verification", "mailer"] {
        until(service, &[]).await;
    }

    to_smtp.cut();
    world.sign_up("ada@example.com");
    let ring = world.data().join("code-keys");
    let keys = std::fs::read(&ring).expect("the ring can be read");
    std::fs::write(&ring, "no keys").expect("the ring can be written");
    until("mailer", &["mail server"]).await;
    until("verification", &["code keys", "mailer"]).await;
    until("accounts", &[]).await;

    to_smtp.pass();
    std::fs::write(&ring, keys).expect("the ring can be written");
    // The next mail tries the mail server, once the circuit's pause is over.
    world.sign_up("grace@example.com");
    eventually("all to be well again", KNOWN * 3, async || {
        let all = [degraded("mailer"), degraded("verification")];
        all.iter().all(BTreeMap::is_empty).then_some(())
    })
    .await;
}

/// Provokes one way and reads both; nothing where its ground cannot be had here.
async fn look(way: &Way) -> Option<Seen> {
    let mut ground = Ground::start(&way.under).await?;
    let begun = Instant::now();
    way.how.provoke(&mut ground).await;
    let readiness = eventually(&format!("readiness: {}", way.what), KNOWN, async || {
        let (is_ready, body) = ground.readiness(way.of).await;
        said(&way.says, is_ready, &body)
    })
    .await;
    let readiness = (begun.elapsed(), readiness);
    let [part, finding, advice] = way.doctor;
    let doctor = eventually(&format!("doctor: {}", way.what), KNOWN, async || {
        let problems = ground.doctor().await;
        let mut ours = problems.iter().filter(|(of, _)| of == part);
        let (_, found) = ours.find(|(_, found)| found.reason.contains(finding))?;
        assert!(found.advice.contains(advice), "{}: {found:?}", way.what);
        Some(format!("{part}: {} → {}", found.reason, found.advice))
    })
    .await;
    Some(Seen {
        what: way.what,
        readiness,
        doctor: (begun.elapsed(), doctor),
    })
}

/// What readiness said, if that is what it should say; each time with what to do.
fn said(expected: &Says, is_ready: bool, body: &Value) -> Option<String> {
    let (of, reason) = match expected {
        Says::NotReady(reason) if !is_ready => (body, reason),
        Says::Degraded(dependency, reason) if is_ready => (&body["degraded"][*dependency], reason),
        _ => return None,
    };
    let said = of["reason"].as_str().filter(|said| said.contains(reason))?;
    assert!(
        of["advice"]
            .as_str()
            .is_some_and(|advice| !advice.is_empty()),
        "{body}"
    );
    Some(match expected {
        Says::NotReady(_) => format!("not ready: {said}"),
        Says::Degraded(dependency, _) => format!("degraded, {dependency}: {said}"),
    })
}
