//! I16: runs with recognisable passwords, keys, addresses, names and codes at RUST_LOG=trace, and a
//! search through everything that anybody could read afterwards but the accounts, the codes' mail
//! and the address's own tables. The first is the whole system with a password everywhere, and with
//! everything that goes wrong; the second is what `usher up` leaves in its folder.
#![expect(clippy::print_stdout, reason = "what was looked for where, as a table")]

mod ground;
mod imported;
mod seen;
mod story;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kit::{
    bus::Bus,
    testing::{SOON, eventually},
};
use rustix::process::Signal;
use usher::otlp::OtlpReceiver;

use crate::world::World;
use ground::Ground;
use seen::{Canary, Kind, Seen};

const ADDRESS: &str = "Canary.Zq7xw@example.com";

// Two threads: receiver and mail server answer while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_no_password_key_code_or_person_is_seen_at_any_log_level_whatever_goes_wrong() {
    let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
    let Some(mut ground) = Ground::prepare(&receiver.endpoint()).await else {
        return;
    };
    let mut seen = Seen::default();
    let canaries = story::tell(&mut ground, &mut seen).await;
    seen.add("spans, metrics and logs by OTLP", receiver.to_text());
    assert!(
        seen.places() >= 60,
        "{} places were looked at",
        seen.places()
    );
    seen.lacks(&canaries);
}

// Two threads: the receiver answers while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_no_address_and_no_code_in_logs_spans_metrics_headers_or_the_mailers_database() {
    let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
    let endpoint = receiver.endpoint();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("RUST_LOG", "trace"),
    ];
    let mut world = World::start(&environment).await;
    let account = world.sign_up(ADDRESS);
    let code = world.code_for(ADDRESS).await;
    let wrong = neighbour(&code);
    world.refusal(&["account", "confirm", &account, &wrong]);
    world.refusal(&["account", "create", ADDRESS]);
    // Before that the same code would come again.
    world.until_accepted(&account).await;
    world.command(&["account", "resend", ADDRESS]);
    let newer = eventually("the second mail", SOON, async || {
        let mut mails = world.mails_to(ADDRESS).into_iter().map(|(_, other)| other);
        mails.find(|other| *other != code)
    });
    let newer = newer.await;
    world.json(&["account", "confirm", &account, &newer]);
    world.command(&["account", "watch", &account]);

    let open = seen::open_to_others(&world.data());
    assert!(open.is_empty(), "others may look at {open:#?}");
    let mut seen = Seen::default();
    let run = world.run_file();
    for service in ["accounts", "verification", "mailer"] {
        let admin = run[service]["admin_url"].as_str();
        let admin = admin.expect("a service has an admin listener");
        seen.add(&format!("/metrics of {service}"), metrics(admin));
    }
    let bus = Bus::connect(&world.broker(), "test").await.unwrap();
    seen.add("message headers", story::headers(&bus).await);
    seen.add_files(&world.data(), "run.json");
    world.stop_by(Signal::TERM);
    seen.add("spans, metrics and logs by OTLP", receiver.to_text());
    seen.add("the terminal", world.said());
    seen.add_files(&world.data(), "logs");
    seen.add_files(&world.data(), "mailer.sqlite");
    seen.add_files(&world.data(), "nats.conf");
    assert!(
        seen.places() >= 11,
        "{} places were looked at",
        seen.places()
    );
    let mut canaries = vec![Canary::new(Kind::Person, "address", "canary.zq7xw")];
    for (what, code) in [
        ("first code", &code),
        ("wrong code", &wrong),
        ("second code", &newer),
    ] {
        canaries.push(Canary::new(Kind::Code, what, &code.replace(' ', "")).also(code));
    }
    for file in [
        "admin-token",
        "code-keys",
        "fingerprint-key",
        "address-keys",
    ] {
        let text = std::fs::read_to_string(world.data().join(file)).expect("it was made");
        let key = text.trim().rsplit(':').next().unwrap_or_default();
        canaries.push(Canary::new(Kind::Secret, &format!("secret in {file}"), key));
    }
    seen.lacks(&canaries);
}

fn base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// A wrong code that nothing else looks like.
fn neighbour(code: &str) -> String {
    let (rest, last) = code.split_at(code.len() - 1);
    let last: u8 = last.parse().expect("a code ends with a digit");
    format!("{rest}{}", (last + 1) % 10)
}

/// What `/metrics` of an admin listener answers.
pub(crate) fn metrics(admin: &str) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let host = admin.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).expect("the admin listener answers");
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("a request can be sent");
    let mut reply = Vec::new();
    stream
        .read_to_end(&mut reply)
        .expect("the reply can be read");
    assert!(
        reply.starts_with(b"HTTP/1.0 200"),
        "{}",
        String::from_utf8_lossy(&reply)
    );
    reply
}
