//! What the mailer's parts cost: `make bench` runs this. It is a root of its own over the service's
//! modules, as `main` and `lib` are, so that no release has a way into them for benchmarks.
#![expect(
    clippy::unwrap_used,
    reason = "what a benchmark's helper cannot do ends the benchmark"
)]
#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the service uses more of these modules than is measured here, and their tests do not run"
)]

mod admission;
mod commands;
mod domain;
mod mail;
mod metrics;
mod migrations;
mod store;
mod transport;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use divan::{Bencher, black_box, counter::ItemsCount};
use futures::future::join_all;
use kit::{
    clock::{Clock, Timestamp},
    db::Db,
    keyring::KeyRing,
    testing::SmtpServer,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use commands::{
    Outcome,
    claim::{Claimed, Claims},
    keep_leases::Leases,
    notes::Ended,
    record_outcome::Outcomes,
    rounds::Rounds,
};
use domain::{AddressKeys, Digits, DisplayName, LocaleTag, Offer, Pace, Recipient, Turn};
use mail::Composer;
use transport::{
    Answers, Attempt, ComposedMail, CurrentTransport, Deadlines, Ending, Lease, Outfit, Transport,
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp(1_795_615_500_000_000);

fn main() {
    divan::main();
}

/// Mails that come at once: claimed, then recorded as accepted, in SQLite, which flushes every
/// commit.
#[divan::bench(args = [1, 16, 128], sample_size = 1)]
fn ledger_round(bencher: Bencher<'_, '_>, mails: usize) {
    let (runtime, folder, clock) = (runtime(), kit::testing::folder(), Clock::default());
    let url = format!("sqlite:{}", folder.path().join("bench.db").display());
    let ledger = runtime.block_on(Bookkeeper::open(&url, &clock));
    bencher
        .counter(ItemsCount::new(mails))
        .with_inputs(|| {
            let offers = std::iter::repeat_with(|| Arc::new(offer(&clock, "en")));
            offers.take(mails).collect()
        })
        .bench_local_values(|offers| runtime.block_on(ledger.round(offers)));
}

/// A whole mail out of its offer, in each language.
#[divan::bench(args = ["en", "fr", "de"], counters = [ItemsCount::new(1_usize)])]
fn render(bencher: Bencher<'_, '_>, locale: &str) {
    let (composer, offer) = (composer(), offer(&Clock::default(), locale));
    bencher.bench(|| composer.compose(black_box(&offer), 1, NOW).unwrap().bytes);
}

/// A mail over a connection that is kept; the mail server runs on the same thread and is measured,
/// too.
#[divan::bench(counters = [ItemsCount::new(1_usize)])]
fn smtp_session(bencher: Bencher<'_, '_>) {
    let post = Post::open();
    post.send();
    bencher.bench_local(|| post.send());
}

/// The same over a connection of its own, from its opening to its end.
#[divan::bench(counters = [ItemsCount::new(1_usize)])]
fn smtp_connection(bencher: Bencher<'_, '_>) {
    let post = Post::open();
    bencher.bench_local(|| {
        post.send();
        post.runtime.block_on(post.transport.close());
    });
}

struct Bookkeeper {
    rounds: Rounds,
    outcomes: Outcomes,
}

impl Bookkeeper {
    async fn open(url: &str, clock: &Clock) -> Self {
        let url = url.parse().unwrap();
        let db = Db::connect(&url, clock.clone()).await.unwrap();
        db.migrate::<migrations::Migrator>().await.unwrap();
        let (keys, never) = (KeyRing::fresh_text(), CancellationToken::new());
        let claims = Claims {
            clock: clock.clone(),
            keys: AddressKeys::parse(&keys).unwrap(),
            leases: Leases::default(),
            lease: LONG,
        };
        let rounds = Rounds::start(db, claims, never.clone());
        Self {
            outcomes: Outcomes::new(rounds.clone(), clock.clone(), never),
            rounds,
        }
    }

    async fn round(&self, offers: Vec<Arc<Offer>>) {
        let claims = offers
            .iter()
            .map(|offer| self.rounds.claim(Arc::clone(offer)));
        let claims = join_all(claims).await;
        let record = |(offer, claimed)| match claimed {
            Ok(Claimed::ToSend(claim)) => {
                let ended = Ended {
                    offer,
                    claim_no: claim.claim_no,
                    outcome: Outcome::Accepted,
                    reply: "250 2.0.0 Ok: queued as 4bYwQK2Yl7z1".to_owned(),
                    taken_back: Vec::new(),
                    trace_id: String::new(),
                };
                self.outcomes.record(claim, ended)
            }
            other => panic!("a new mail is there to be sent, not {other:?}"),
        };
        join_all(offers.into_iter().zip(claims).map(record)).await;
    }
}

/// A mail server that accepts everything, and the way to it.
struct Post {
    runtime: Runtime,
    transport: Arc<Transport>,
    mail: ComposedMail,
    answers: Answers,
    server: SmtpServer,
}

impl Post {
    fn open() -> Self {
        let runtime = runtime();
        let server = runtime.block_on(SmtpServer::start());
        let outfit = Outfit {
            url: server.url().parse().unwrap(),
            file: None,
            hello: None,
            deadlines: Deadlines {
                connect_deadline: LONG,
                tls_deadline: LONG,
                greeting_deadline: LONG,
                command_deadline: LONG,
                data_deadline: LONG,
                reply_deadline: LONG,
            },
        };
        let offer = offer(&Clock::default(), "en");
        Self {
            runtime,
            transport: CurrentTransport::open(outfit).unwrap().now(),
            mail: composer().compose(&offer, 1, NOW).unwrap(),
            answers: Answers::new(Pace::new(LONG)),
            server,
        }
    }

    fn send(&self) {
        let lease = Lease::until(Instant::now() + LONG);
        let attempt = Attempt::start(lease, self.answers.clone());
        let sending = self.transport.send(&self.mail, &attempt);
        let sent = self.runtime.block_on(sending);
        assert_eq!(sent.ending, Ending::Accepted);
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn composer() -> Composer {
    let sender = "Usher <usher@example.com>".parse().unwrap();
    Composer::new(sender, Some("https://usher.example".to_owned())).unwrap()
}

fn offer(clock: &Clock, locale: &str) -> Offer {
    let code_id = clock.uuid_v7();
    Offer {
        code_id,
        account_id: clock.uuid_v7(),
        recipient: Recipient::parse(&format!("{}@example.com", code_id.simple())).unwrap(),
        name: DisplayName::parse("Ada Lovelace").unwrap(),
        locale: LocaleTag::new(locale),
        digits: Digits::parse("12345678").unwrap(),
        expires_at: clock.now() + Duration::from_secs(24 * 60 * 60),
        turn: Turn::First,
    }
}
