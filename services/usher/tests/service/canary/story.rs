//! What happens to the canaries: everything that a day brings, and everything that goes wrong in it.

use std::{fs, process::Output};

use kit::{
    bus::Bus,
    testing::{Phase, SOON, SmtpServer, event_headers, eventually, publish},
};
use mail_parser::MessageParser;
use proto::{accounts::AccountCreated, events::Event as _};
use rustix::process::Signal;
use serde_json::Value;
use uuid::Uuid;

use super::{
    base64,
    ground::{Ground, PASSWORDS, SERVICES, WRONG},
    imported, neighbour,
    seen::{Canary, Kind, Seen},
};

pub(super) const ADDRESS: &str = "Canary.Zq7xw@example.com";
pub(super) const NAME: &str = "Canarina Fitzwobble";
const REJECTED: &str = "Canary.Vb2kd@example.com";
const POISON: &str = "Canary.Mm9tp@example.com";
const IDEMPOTENCY_KEY: &str = "canary-idempotency-5f7d";
const BROKEN_KEY: &str = "canary-key-that-is-no-hex-8c1a";

/// Lets it happen, keeps what was said, and answers with the canaries.
pub(super) async fn tell(ground: &mut Ground, seen: &mut Seen) -> Vec<Canary> {
    refused_settings(ground, seen);
    refused_logins(ground, seen).await;
    let codes = journey(ground, seen).await;
    let imported = imported::import(ground, seen).await;
    failures(ground, seen).await;
    operators(ground, seen);
    left_behind(ground, seen).await;
    let mut canaries = canaries(ground, &codes);
    canaries.extend(imported);
    canaries
}

fn canaries(ground: &Ground, codes: &[String]) -> Vec<Canary> {
    let passwords = ["the database", "the broker", "the mail server"];
    let mut all: Vec<_> = passwords
        .iter()
        .zip(PASSWORDS)
        .map(|(of, (plain, encoded))| {
            Canary::new(Kind::Secret, &format!("password of {of}"), plain).also(encoded)
        })
        .collect();
    all.push(Canary::new(Kind::Secret, "password that nobody takes", WRONG.0).also(WRONG.1));
    for file in [
        "admin-token",
        "fingerprint-key",
        "code-keys",
        "address-keys",
    ] {
        let text = fs::read_to_string(ground.file(file)).expect("the services made it");
        let key = text.trim().rsplit(':').next().unwrap_or_default();
        all.push(Canary::new(
            Kind::Secret,
            &format!("secret in the file {file}"),
            key,
        ));
    }
    all.push(Canary::new(
        Kind::Secret,
        "key in a file that is refused",
        BROKEN_KEY,
    ));
    all.push(Canary::new(
        Kind::Secret,
        "idempotency key",
        IDEMPOTENCY_KEY,
    ));
    for (code, what) in codes
        .iter()
        .zip(["first code", "wrong code", "second code"])
    {
        let digits = code.replace(' ', "");
        all.push(Canary::new(Kind::Code, what, &digits).also(code));
    }
    let people = [
        ("address of who signs up", ADDRESS),
        ("address that the mail server refuses", REJECTED),
        ("address in an event that makes no sense", POISON),
    ];
    for (what, address) in people {
        let local = address.split('@').next().unwrap_or_default();
        all.push(Canary::new(Kind::Person, what, local));
    }
    all.push(Canary::new(Kind::Person, "display name", "Fitzwobble"));
    all
}

pub(super) fn keep(seen: &mut Seen, label: &str, output: &Output) {
    let mut said = format!("{}\n", output.status).into_bytes();
    said.extend_from_slice(&output.stdout);
    said.extend_from_slice(&output.stderr);
    seen.add(label, said);
}

/// A command that answers with a person: only its log must not show one.
fn keep_answer(seen: &mut Seen, label: &str, output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{label}: {errors}");
    seen.add_answer(&format!("{label}, the answer"), output.stdout.clone());
    seen.add(
        &format!("{label}, its log"),
        format!("{}\n{errors}", output.status),
    );
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn refused_settings(ground: &Ground, seen: &mut Seen) {
    let [database, nats, mail] = PASSWORDS.map(|(plain, _)| plain);
    fs::write(ground.file("broken"), format!("k1:{BROKEN_KEY}\n")).expect("it can be written");
    let unencoded =
        |scheme: &str, password: &str| format!("{scheme}://canary:{password}@127.0.0.1/x");
    for (service, name, value) in [
        (
            "accounts",
            "USHER_DATABASE_URL",
            unencoded("postgres", database),
        ),
        ("verification", "USHER_NATS_URL", unencoded("nats", nats)),
        ("mailer", "USHER_MAIL_URL", unencoded("smtp", mail)),
        ("verification", "USHER_CODE_KEYS_FILE", "broken".to_owned()),
        (
            "accounts",
            "USHER_FINGERPRINT_KEY_FILE",
            "broken".to_owned(),
        ),
        ("mailer", "USHER_ADDRESS_KEY_FILE", "broken".to_owned()),
    ] {
        let sqlite = ("USHER_DATABASE_URL", "sqlite:refused.sqlite");
        let listen = [
            ("USHER_LISTEN", "127.0.0.1:0"),
            ("USHER_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        let environment = [&[sqlite], &listen[..], &[(name, value.as_str())]].concat();
        for format in ["table", "json"] {
            let output = ground.run(&[service, "--output", format], &environment);
            assert!(!output.status.success(), "{service} takes a broken {name}");
            keep(
                seen,
                &format!("usher {service}, {name} refused, {format}"),
                &output,
            );
        }
    }
}

async fn refused_logins(ground: &mut Ground, seen: &mut Seen) {
    let nats = ground.nats_url(WRONG.1);
    let database = ground.database_url("accounts", WRONG.1);
    let output = ground.run(&["nats", "status"], &[("USHER_NATS_URL", &nats)]);
    keep(seen, "usher nats status, login refused", &output);
    let migrate = [
        "migrate",
        "status",
        "--service",
        "accounts",
        "--database-url",
        &database,
    ];
    keep(
        seen,
        "usher migrate status, login refused",
        &ground.run(&migrate, &[]),
    );

    ground.start("accounts", &[("USHER_DATABASE_URL", &database)]);
    let refused = |body: &str| body.contains("503 ") && body.contains("database");
    let told = ground.readiness("accounts", refused).await;
    seen.add("/readyz of accounts, database login refused", told);
    ground.stop("accounts", Signal::TERM);
    ground.start("verification", &[("USHER_NATS_URL", &nats)]);
    let told = ground
        .readiness("verification", |body| body.contains("refuses"))
        .await;
    seen.add("/readyz of verification, broker login refused", told);
    ground.stop("verification", Signal::TERM);
}

/// Signs up while the mail server refuses our login, is mailed once it does not, mistypes, asks for
/// another code, and confirms. Answers with the first code, a wrong one, and the second.
async fn journey(ground: &mut Ground, seen: &mut Seen) -> [String; 3] {
    let said = base64(format!("\0usher\0{}", WRONG.0).as_bytes());
    let echo = format!(
        "5.7.8 AUTH PLAIN {said} is no login of {ADDRESS}, {}",
        WRONG.0
    );
    ground.smtp.on(Phase::Auth).times(1).answer(535, &echo);
    let mail = ground.mail_url(WRONG.1);
    ground.start("mailer", &[("USHER_MAIL_URL", &mail)]);
    for service in ["accounts", "verification"] {
        ground.start(service, &[]);
    }
    for service in SERVICES {
        ground
            .readiness(service, |body| body.contains(" 200 "))
            .await;
    }
    let key = ["--idempotency-key", IDEMPOTENCY_KEY];
    let create = [
        "account", "create", ADDRESS, "--name", NAME, "--output", "json",
    ];
    let output = ground.run(&[&create[..], &key].concat(), &[]);
    let created = keep_answer(seen, "usher account create", &output);
    let account = created["account"]["account_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let told = ground
        .readiness("mailer", |body| body.contains("535"))
        .await;
    seen.add("/readyz of mailer, mail login refused", told);
    ground.stop("mailer", Signal::TERM);
    ground.start("mailer", &[]);
    let code = code_of_mail(&ground.smtp, ADDRESS, 1).await;
    let wrong = neighbour(&code);

    for format in ["table", "json"] {
        let refused = [
            (
                vec!["account", "create", ADDRESS, "--name", NAME],
                "an address that is taken",
            ),
            (
                vec!["account", "create", "Canary.Zq7xw@@x", "--name", NAME],
                "no address",
            ),
            (
                vec![
                    "account",
                    "create",
                    ADDRESS,
                    "--name",
                    "Fitzwobble http://a.b",
                ],
                "no name",
            ),
            (vec!["account", "confirm", &account, &wrong], "a wrong code"),
            (
                vec!["account", "confirm", &account, "Fitzwobble"],
                "no code",
            ),
        ];
        for (arguments, what) in refused {
            let output = ground.run(&[&arguments[..], &["--output", format]].concat(), &[]);
            assert!(!output.status.success(), "{what} is taken");
            keep(seen, &format!("usher account, {what}, {format}"), &output);
        }
    }
    let output = ground.run(&["account", "resend", ADDRESS], &[]);
    assert!(output.status.success(), "a second code can be asked for");
    keep(seen, "usher account resend", &output);
    let newer = code_of_mail(&ground.smtp, ADDRESS, 2).await;
    let output = ground.run(&["account", "confirm", &account, &newer], &[]);
    assert!(output.status.success(), "{output:?}");
    keep(seen, "usher account confirm", &output);
    for (label, arguments) in [
        ("usher account watch", ["account", "watch", &account]),
        ("usher account show", ["account", "show", &account]),
        ("usher account list", ["account", "list", "--output=json"]),
    ] {
        keep_answer(seen, label, &ground.run(&arguments, &[]));
    }
    [code, wrong, newer]
}

/// The code in the mail of that number to an address.
pub(super) async fn code_of_mail(smtp: &SmtpServer, address: &str, number: usize) -> String {
    let ours = |smtp: &SmtpServer| {
        let mails = smtp.mails().into_iter();
        mails
            .filter(|mail| mail.to.iter().any(|to| to == address))
            .collect::<Vec<_>>()
    };
    smtp.until("the mail", |smtp| ours(smtp).len() >= number)
        .await;
    let mail = &ours(smtp)[number - 1];
    let message = MessageParser::default()
        .parse(&mail.bytes)
        .expect("it is a mail");
    let text = message.body_text(0).expect("it has a text");
    let is_code =
        |line: &&str| line.len() == 9 && line.chars().all(|c| c.is_ascii_digit() || c == ' ');
    text.lines()
        .map(str::trim)
        .find(is_code)
        .expect("it holds a code")
        .to_owned()
}

/// A mailbox that does not exist, two events that make no sense, and a crash.
async fn failures(ground: &mut Ground, seen: &mut Seen) {
    let refusal = format!("5.1.1 <{REJECTED}>: {NAME} is not here");
    ground
        .smtp
        .on(Phase::Rcpt)
        .to(REJECTED)
        .answer(550, &refusal);
    let create = [
        "account", "create", REJECTED, "--name", NAME, "--output", "json",
    ];
    keep_answer(
        seen,
        "usher account create, mailbox refused",
        &ground.run(&create, &[]),
    );
    let rejected = async || {
        let output = ground.run(
            &["mail", "list", "--output", "json"],
            &[("RUST_LOG", "off")],
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.contains("REJECTED").then_some(())
    };
    eventually("the mailbox to be refused", SOON, rejected).await;

    poison(&ground.bus().await).await;
    let letters = async || {
        let output = ground.run(&["dlq", "list", "--output", "json"], &[("RUST_LOG", "off")]);
        let letters: Value = serde_json::from_slice(&output.stdout).ok()?;
        letters
            .as_array()
            .filter(|letters| letters.len() == 2)
            .map(|_| ())
    };
    eventually("two dead letters", SOON, letters).await;
    ground.stop("accounts", Signal::KILL);
    ground.start("accounts", &[]);
    ground
        .readiness("accounts", |body| body.contains(" 200 "))
        .await;
}

async fn poison(bus: &Bus) {
    let connected = async || bus.is_connected().then_some(());
    eventually("the broker to take the login", SOON, connected).await;
    let account = Uuid::new_v4().to_string();
    let event = AccountCreated {
        account_id: account.clone(),
        email: format!("{POISON} {POISON}"),
        display_name: NAME.to_owned(),
        locale: "en".to_owned(),
        created_at: None,
    };
    let garbage = format!("\u{1}{POISON} {NAME}").into_bytes();
    for payload in [prost::Message::encode_to_vec(&event), garbage] {
        let headers = event_headers::<AccountCreated>(&Uuid::new_v4().to_string(), &account);
        publish(bus, AccountCreated::SUBJECT, headers, payload).await;
    }
}

/// What operators ask, all of whose answers are for tickets and chats.
fn operators(ground: &Ground, seen: &mut Seen) {
    let json = |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = ground.run(&arguments, &[("RUST_LOG", "off")]);
        serde_json::from_slice(&output.stdout).expect("it answers in JSON")
    };
    let (mails, letters) = (json(&["mail", "list"]), json(&["dlq", "list"]));
    let text = |value: &Value| value.as_str().expect("an id is text").to_owned();
    let mail = text(&mails[0]["code_id"]);
    let letter = text(&letters[0]["id"]);
    for format in ["table", "json"] {
        for arguments in [
            &["mail", "list"][..],
            &["mail", "show", &mail],
            &["dlq", "list"],
            &["dlq", "replay", &letter],
            &["doctor"],
            &["config"],
            &["keys", "list"],
            &["nats", "status"],
            &["nats", "provision"],
        ] {
            let output = ground.run(&[arguments, &["--output", format]].concat(), &[]);
            let label = arguments
                .iter()
                .take(2)
                .copied()
                .collect::<Vec<_>>()
                .join(" ");
            keep(seen, &format!("usher {label}, {format}"), &output);
        }
    }
    let token = [("USHER_ADMIN_TOKEN_FILE", "code-keys")];
    keep(
        seen,
        "usher account list, wrong token",
        &ground.run(&["account", "list"], &token),
    );
}

/// Everything that somebody can read afterwards.
async fn left_behind(ground: &mut Ground, seen: &mut Seen) {
    for service in SERVICES {
        for path in ["/metrics", "/readyz", "/nowhere"] {
            let said = ground
                .get(service, path)
                .expect("the admin listener answers");
            seen.add(&format!("{path} of {service}"), said);
        }
    }
    seen.add("headers of messages", headers(&ground.bus().await).await);
    let [database, mailer] = ["verification", "mailer"].map(|name| &ground.databases[name]);
    let letters = "concat_ws(' ', event_id, ce_subject, subject, headers, reason)";
    let letters = format!("SELECT {letters} FROM dead_letters");
    seen.add(
        "dead letters without their payloads",
        database.texts(&letters).await.join("\n"),
    );
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut rows = Vec::new();
    for table in mailer.texts(tables).await {
        rows.extend(
            mailer
                .texts(&format!("SELECT \"{table}\"::text FROM \"{table}\""))
                .await,
        );
    }
    seen.add("the mailer's database", rows.join("\n"));
    for service in SERVICES {
        ground.stop(service, Signal::TERM);
        let log = fs::read_to_string(ground.file(&format!("{service}.log")));
        let log = log.expect("it has a log");
        let whole = log.contains(" TRACE ") && !log.contains("Log lines were dropped");
        assert!(whole, "not everything that {service} logged was looked at");
        seen.add(&format!("log of {service}"), log);
    }
}

/// The headers of every message in every stream, as text.
pub(super) async fn headers(bus: &Bus) -> String {
    let mut text = String::new();
    for described in proto::streams::ALL {
        let found = async || bus.jetstream().get_stream(described.name).await.ok();
        let stream = eventually("the stream", SOON, found).await;
        let state = &stream.cached_info().state;
        for sequence in state.first_sequence..=state.last_sequence {
            // One that was read by everybody may be gone.
            if let Ok(message) = stream.get_raw_message(sequence).await {
                text += &format!("{} {:?}\n", message.subject, message.headers);
            }
        }
    }
    text
}
