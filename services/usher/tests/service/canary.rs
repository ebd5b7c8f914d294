//! I16: a run with a recognisable address and its code, and a search through everything that
//! anybody could read afterwards but the accounts, the codes' mail and the address's own tables.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use kit::testing::{SOON, eventually};
use rustix::process::Signal;
use usher::otlp::OtlpReceiver;

use crate::world::World;

const ADDRESS: &str = "Canary.Zq7xw@example.com";

// Two threads: the receiver answers while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_no_address_and_no_code_in_logs_spans_metrics_headers_or_the_mailers_database() {
    let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
    let endpoint = receiver.endpoint();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("RUST_LOG", "debug"),
    ];
    let mut world = World::start(&environment).await;
    let account = world.sign_up(ADDRESS);
    let code = world.code_for(ADDRESS).await;
    let wrong = neighbour(&code);
    world.refusal(&["account", "confirm", &account, &wrong]);
    world.refusal(&["account", "create", ADDRESS]);
    world.command(&["account", "resend", ADDRESS]);
    let newer = eventually("the second mail", SOON, async || {
        world
            .mails_to(ADDRESS)
            .into_iter()
            .map(|(_, other)| other)
            .find(|other| *other != code)
    });
    let newer = newer.await;
    world.json(&["account", "confirm", &account, &newer]);
    world.command(&["account", "watch", &account]);

    let mut seen = Seen::default();
    let run = world.run_file();
    for service in ["accounts", "verification", "mailer"] {
        let admin = run[service]["admin_url"]
            .as_str()
            .expect("a service has an admin listener");
        seen.add(&format!("/metrics of {service}"), metrics(admin));
    }
    seen.add(
        "message headers",
        headers(run["nats_url"].as_str().expect("there is a broker")).await,
    );
    world.stop_by(Signal::TERM);
    seen.add(
        "spans, metrics and logs by OTLP",
        receiver.to_text().into_bytes(),
    );
    seen.add("the terminal", world.said().into_bytes());
    seen.add_files(&world.data(), "logs");
    seen.add_files(&world.data(), "mailer.sqlite");
    assert!(
        seen.0.len() >= 9,
        "something was not looked at: {:?}",
        seen.0.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let codes = [code.as_str(), &newer, &wrong];
    let digits = codes.map(|code| code.replace(' ', ""));
    seen.lacks(&["canary.zq7xw"]);
    seen.lacks(&codes);
    seen.lacks(&digits.each_ref().map(String::as_str));
}

/// What was captured, by name.
#[derive(Debug, Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        assert!(!bytes.is_empty(), "{name} is empty: nothing was captured");
        self.0.push((name.to_owned(), bytes));
    }

    /// Every file in the folder `name`, or beside it with this beginning.
    fn add_files(&mut self, data: &Path, name: &str) {
        let folder = if data.join(name).is_dir() {
            data.join(name)
        } else {
            data.to_owned()
        };
        for entry in fs::read_dir(&folder)
            .expect("the folder can be read")
            .filter_map(Result::ok)
        {
            let file = entry.file_name().to_string_lossy().into_owned();
            if folder != data || file.starts_with(name) {
                self.0
                    .push((file, fs::read(entry.path()).expect("the file can be read")));
            }
        }
    }

    fn lacks(&self, secrets: &[&str]) {
        for (name, bytes) in &self.0 {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            for secret in secrets {
                for (at, _) in text.match_indices(secret) {
                    let (before, after) = (&text[..at], &text[at + secret.len()..]);
                    let line = before.rsplit('\n').next().unwrap_or_default();
                    assert!(
                        is_part_of_a_number(before, after),
                        "{name} holds {secret} after: {line}"
                    );
                }
            }
        }
    }
}

/// Nanoseconds have nineteen digits, and any eight of them may be a code by chance.
fn is_part_of_a_number(before: &str, after: &str) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    is_digit(before.chars().next_back()) || is_digit(after.chars().next())
}

/// A wrong code that nothing else looks like.
fn neighbour(code: &str) -> String {
    let (rest, last) = code.split_at(code.len() - 1);
    format!(
        "{rest}{}",
        (last.parse::<u8>().expect("a code ends with a digit") + 1) % 10
    )
}

/// What `/metrics` of an admin listener answers.
pub(crate) fn metrics(admin: &str) -> Vec<u8> {
    let host = admin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the admin listener answers");
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

/// The headers of every message in every stream, as text.
async fn headers(url: &str) -> Vec<u8> {
    let client = async_nats::connect(url).await.expect("the broker answers");
    let jetstream = async_nats::jetstream::new(client);
    let mut text = String::new();
    for described in proto::streams::ALL {
        let stream = jetstream
            .get_stream(described.name)
            .await
            .expect("the stream is there");
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream
                .get_raw_message(sequence)
                .await
                .expect("the message is there");
            text.push_str(&format!("{} {:?}\n", message.subject, message.headers));
        }
    }
    text.into_bytes()
}
