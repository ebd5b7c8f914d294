//! Services that are found by a name: by commands, and real mailers by verification, each with a mail
//! server of its own so that it can be told which of them sent a mail; they share a ledger, as
//! replicas do.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use kit::{
    bus::Bus,
    clock::Clock,
    telemetry::names,
    testing::{
        Name, NatsServer, SOON, Service, SmtpServer, World, event_headers, eventually, publish,
    },
};
use opentelemetry::trace::SpanKind;
use proto::{accounts::AccountCreated, events::Event as _};
use tonic::transport::Channel;
use usher::otlp::{OtlpReceiver, Span};

use crate::world::{self, refusal, usher};

/// How long a mailer that has come may wait for its share.
const TAKEN_IN: Duration = Duration::from_secs(10);

struct Mailer {
    service: Service<Channel>,
    smtp: SmtpServer,
}

impl Mailer {
    async fn start(world: &World) -> Self {
        let smtp = SmtpServer::start().await;
        let key = world.file("address-keys").display().to_string();
        let settings = world.settings().with(&[
            ("USHER_MAIL_URL", &smtp.url()),
            ("USHER_ADDRESS_KEY_FILE", &key),
        ]);
        let app = mailer::app::App::build(settings.config(), world.clock.clone()).await;
        let app = app.expect("the mailer starts");
        let at = [app.addr(), app.admin_addr()];
        let service = Service::start(&settings, at, |stop| app.run_until(stop));
        Self { service, smtp }
    }

    fn sent(&self) -> usize {
        self.smtp.mails().len()
    }
}

/// New accounts, as many as wanted, each with an address of its own.
struct People {
    bus: Bus,
    clock: Clock,
    count: usize,
}

impl People {
    async fn sign_up(&mut self, count: usize) {
        for _ in 0..count {
            self.count += 1;
            let id = self.clock.uuid_v7().to_string();
            let event = AccountCreated {
                account_id: id.clone(),
                email: format!("ada{}@example.org", self.count),
                display_name: "Ada Lovelace".to_owned(),
                locale: "en".to_owned(),
                created_at: Some(self.clock.now().into()),
            };
            let headers = event_headers::<AccountCreated>(&self.clock.uuid_v7().to_string(), &id);
            let payload = prost::Message::encode_to_vec(&event);
            publish(&self.bus, AccountCreated::SUBJECT, headers, payload).await;
        }
    }

    /// The same, a few at a time: a mailer that is slower, on a machine that does something else,
    /// rightly gets less of what comes at once. Each has one mail then.
    async fn mailed(&mut self, count: usize, servers: &[&SmtpServer]) {
        for _ in 0..count / 10 {
            self.sign_up(10).await;
            assert_eq!(self.doubled(servers).await, 0);
        }
    }

    /// Waits until everybody has a mail, and counts those of everybody who has more than one.
    async fn doubled(&self, servers: &[&SmtpServer]) -> usize {
        let mails = || {
            let mut mails: HashMap<String, usize> = HashMap::new();
            for mail in servers.iter().flat_map(|server| server.mails()) {
                *mails.entry(mail.to.join(",")).or_default() += 1;
            }
            mails
        };
        let all = async || (mails().len() == self.count).then_some(());
        eventually("everybody to have a mail", SOON, all).await;
        mails().values().filter(|count| **count > 1).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_mailers_behind_a_name_share_the_mails_and_lose_and_double_none_as_they_come_and_go() {
    type Tables = mailer::migrations::Migrator;
    let Some(ledger) = World::on_postgres_with::<Tables>("replicas_of_mailers").await else {
        return;
    };
    let nats = NatsServer::start().await;
    let mut people = People {
        bus: nats.provision().await,
        clock: Clock::default(),
        count: 0,
    };
    let [a, b] = [Mailer::start(&ledger).await, Mailer::start(&ledger).await];
    let name = Name::new();
    name.leads_to([a.service.addr(), b.service.addr()]);
    let world: World = World::on_sqlite();
    let settings = world
        .with_file("USHER_CODE_KEYS_FILE", "code-keys")
        .settings()
        .with(&[
            ("USHER_NATS_URL", &nats.url()),
            ("USHER_MAILER_URL", &name.url()),
        ]);
    let app = verification::app::App::build(settings.config(), people.clock.clone()).await;
    let app = app.expect("verification starts");
    let at = [app.addr(), app.admin_addr()];
    let verification: Service<Channel> = Service::start(&settings, at, |stop| app.run_until(stop));

    // Both have their streams once both have sent.
    let both = async || {
        people.sign_up(2).await;
        (a.sent() > 0 && b.sent() > 0).then_some(())
    };
    eventually("both to send", SOON, both).await;
    assert_eq!(people.doubled(&[&a.smtp, &b.smtp]).await, 0);
    let before = [a.sent(), b.sent()];
    people.mailed(200, &[&a.smtp, &b.smtp]).await;
    is_fair(&[a.sent() - before[0], b.sent() - before[1]]);

    let c = Mailer::start(&ledger).await;
    let begun = Instant::now();
    name.leads_to([&a, &b, &c].map(|mailer| mailer.service.addr()));
    let third = async || {
        people.sign_up(3).await;
        (c.sent() > 0).then_some(())
    };
    eventually("the third one to send", TAKEN_IN, third).await;
    assert!(begun.elapsed() < TAKEN_IN, "{:?}", begun.elapsed());
    assert_eq!(people.doubled(&[&a.smtp, &b.smtp, &c.smtp]).await, 0);
    let before = [&a, &b, &c].map(Mailer::sent);
    people.mailed(300, &[&a.smtp, &b.smtp, &c.smtp]).await;
    let after = [&a, &b, &c].map(Mailer::sent);
    is_fair(&[0, 1, 2].map(|one| after[one] - before[one]));

    // One leaves, while people sign up: the name first, as a pod's does, and then the process.
    people.sign_up(30).await;
    name.leads_to([&a, &b].map(|mailer| mailer.service.addr()));
    people.sign_up(30).await;
    let Mailer { service, smtp } = c;
    service.stop().await;
    people.sign_up(30).await;
    assert_eq!(people.doubled(&[&a.smtp, &b.smtp, &smtp]).await, 0);
    // And one stops before the name knows it.
    people.sign_up(30).await;
    let Mailer { service, smtp: bs } = b;
    service.stop().await;
    people.sign_up(30).await;
    name.leads_to([a.service.addr()]);
    assert_eq!(people.doubled(&[&a.smtp, &bs, &smtp]).await, 0);
    verification.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_find_services_by_name_and_their_spans_say_the_name() {
    let receiver = OtlpReceiver::record().await.expect("a receiver can listen");
    let world = world::World::start(&[("USHER_CALLER_TRACES", "continue")]).await;
    let run = world.run_file();
    let mut command = usher();
    command.args(["account", "create", "ada@example.com"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint());
    let mut ports = Vec::new();
    for service in ["accounts", "verification"] {
        let url = run[service]["url"].as_str().expect("it has an address");
        let (_, port) = url.rsplit_once(':').expect("it has a port");
        command.arg(format!("--{service}-url=dns:///localhost:{port}"));
        ports.push(port.to_owned());
    }
    let output = command
        .args(["--output", "json", "--data", "/nowhere"])
        .output();
    let output = output.expect("usher can be run");
    let created: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("the output is JSON");
    let id = created["trace_id"].as_str().expect("the command tells it");
    let client = |span: &&Span| span.kind == SpanKind::Client && span.name.contains("Create");
    let called = |spans: &[Span]| spans.iter().any(|span| client(&span));
    let spans = receiver.wait_for_trace(id, called, SOON).await;
    let spans = spans.expect("the call is recorded");
    let call = spans.iter().find(client).expect("it was waited for");
    assert_eq!(call.attribute(names::SERVER_ADDRESS), Some("localhost"));
    assert_eq!(call.attribute(names::SERVER_PORT), Some(&*ports[0]));
}

#[test]
fn a_name_that_leads_nowhere_is_told_with_what_to_do() {
    let folder = kit::testing::folder();
    let mut command = usher();
    command.args(["account", "create", "ada@example.com", "--output", "json"]);
    command.args(["--accounts-url", "dns:///accounts.invalid:1", "--data"]);
    let output = command.arg(folder.path()).output();
    let (code, error) = refusal(&output.expect("usher can be run"));
    assert_eq!(code, 5);
    assert_eq!(error["reason"], "NAME_NOT_RESOLVED");
    let message = error["message"].as_str().unwrap_or_default();
    for part in ["accounts.invalid leads to no address", "spelt right"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Each within 15 in 100 of its even share.
fn is_fair(got: &[usize]) {
    let share = got.iter().sum::<usize>() as f64 / got.len() as f64;
    let is_near = |got: &usize| (*got as f64 - share).abs() <= share * 0.15;
    assert!(got.iter().all(is_near), "{got:?}");
}
