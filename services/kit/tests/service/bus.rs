//! The consumer loop on a real broker: every message is acked, pending, or one dead letter.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::message::PublishMessage;
use kit::{
    bus::{self, Bus, Consumer, Delivery, Durable, Settings, Verdict},
    clock::Clock,
    testing::{NatsServer, eventually},
};
use proto::streams::{ACCOUNTS, DEAD_LETTERS};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

/// How often the handler was given each payload, and the sizes of the batches.
#[derive(Debug, Default, Clone)]
struct Seen {
    times: Arc<Mutex<BTreeMap<String, usize>>>,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Seen {
    fn note(&self, batch: &[Delivery]) -> Vec<(String, usize)> {
        let mut times = self.times.lock().unwrap();
        self.batches.lock().unwrap().push(batch.len());
        let count = |delivery: &Delivery| {
            let payload = delivery.header("payload").to_owned();
            let seen = times.entry(payload.clone()).or_default();
            *seen += 1;
            (payload, *seen)
        };
        batch.iter().map(count).collect()
    }

    fn times(&self, payload: &str) -> usize {
        self.times
            .lock()
            .unwrap()
            .get(payload)
            .copied()
            .unwrap_or_default()
    }

    fn distinct(&self) -> usize {
        self.times.lock().unwrap().len()
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    seen: Seen,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn settings() -> Settings {
    Settings {
        ack_wait: Duration::from_millis(600),
        max_deliver: 3,
        batch: 64,
    }
}

/// Runs a consumer whose verdict on the n-th sight of a payload is `verdict(payload, n)`.
fn run(bus: &Bus, verdict: fn(&str, usize) -> Verdict) -> Running {
    let durable = Durable {
        stream: ACCOUNTS,
        name: "test".to_owned(),
        filter: "accounts.v1.>".to_owned(),
    };
    let consumer = Consumer::new(bus.clone(), durable, settings(), Clock::default());
    let (stop, seen) = (CancellationToken::new(), Seen::default());
    let handler = {
        let seen = seen.clone();
        move |batch: Arc<Vec<Delivery>>| {
            let verdicts = seen
                .note(&batch)
                .into_iter()
                .map(|(payload, time)| verdict(&payload, time));
            std::future::ready(verdicts.collect())
        }
    };
    Running {
        task: tokio::spawn(consumer.run(handler, stop.clone())),
        stop,
        seen,
    }
}

async fn publish(bus: &Bus, payloads: impl IntoIterator<Item = String>) {
    for payload in payloads {
        let message = PublishMessage::build()
            .header("payload", payload.as_str())
            .payload(payload.into());
        bus.jetstream()
            .send_publish("accounts.v1.test", message)
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

/// Waits until the durable has nothing left to do, or only what is never acknowledged.
async fn drained(bus: &Bus, never: usize) {
    eventually("all messages to be handled", PATIENCE, async || {
        let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.ok()?;
        let info = stream.consumer_info("test").await.ok()?;
        (info.num_pending == 0 && info.num_ack_pending <= never).then_some(())
    })
    .await;
}

async fn dead_letters(bus: &Bus) -> Vec<async_nats::jetstream::message::StreamMessage> {
    let stream = bus.jetstream().get_stream(DEAD_LETTERS.name).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut letters = Vec::new();
    for sequence in 1..=last {
        letters.push(stream.get_raw_message(sequence).await.unwrap());
    }
    letters
}

#[tokio::test]
async fn each_message_is_handled_once_and_a_backlog_in_bundles() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    publish(&bus, numbers(0..200)).await;
    let running = run(&bus, |_, _| Verdict::Ack);
    drained(&bus, 0).await;
    publish(&bus, numbers(200..600)).await;
    drained(&bus, 0).await;
    assert_eq!(running.seen.distinct(), 600);
    assert_eq!(running.seen.times.lock().unwrap().values().max(), Some(&1));
    running.stop().await;
}

#[tokio::test]
async fn i13_what_is_retried_is_held_and_never_counts_towards_a_dead_letter() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    publish(&bus, numbers(0..5)).await;
    // Ten times with pauses, far beyond AckWait and `max_deliver`: the server must not hand it out again.
    let again = |payload: &str, time| match payload {
        "3" if time <= 10 => Verdict::Retry(Duration::from_millis(200)),
        _ => Verdict::Ack,
    };
    let running = run(&bus, again);
    drained(&bus, 0).await;
    assert_eq!(running.seen.times("3"), 11);
    assert_eq!(running.seen.times("4"), 1);
    assert_eq!(dead_letters(&bus).await.len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn i13_a_rejected_message_becomes_one_dead_letter_with_its_reason() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    publish(&bus, numbers(0..5)).await;
    let running = run(&bus, |payload, _| {
        if payload == "3" {
            Verdict::Reject("too_odd")
        } else {
            Verdict::Ack
        }
    });
    drained(&bus, 0).await;
    running.stop().await;
    let letters = dead_letters(&bus).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject.as_str(), "dlq.accounts.v1.test");
    assert_eq!(letters[0].payload, "3");
    let header = |name| letters[0].headers.get(name).unwrap().as_str();
    assert_eq!(header("usher-dead-letter-reason"), "too_odd");
    assert_eq!(header("usher-dead-letter-sequence"), "4");
    assert_eq!(header("usher-dead-letter-attempts"), "1");
}

#[tokio::test]
async fn i17_a_message_that_kills_its_handler_becomes_a_dead_letter_and_takes_nobody_along() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    publish(&bus, numbers(0..20)).await;
    let running = run(&bus, |payload, _| {
        if payload == "7" {
            panic!("as asked")
        } else {
            Verdict::Ack
        }
    });
    drained(&bus, 1).await;
    let letters = eventually("the dead letter", PATIENCE, async || {
        let letters = dead_letters(&bus).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    running.stop().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload, "7");
    assert_eq!(
        letters[0]
            .headers
            .get("usher-dead-letter-reason")
            .unwrap()
            .as_str(),
        "max_deliveries"
    );
}

#[tokio::test]
async fn i15_a_notice_about_a_stream_that_was_replaced_buries_nobody_of_the_new_one() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    let notice = r#"{"stream":"ACCOUNTS","consumer":"test","stream_seq":1,"deliveries":3}"#;
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ACCOUNTS.test";
    bus.jetstream()
        .client()
        .publish(subject, notice.into())
        .await
        .unwrap();
    eventually("the notice to be captured", PATIENCE, async || {
        let stream = bus.jetstream().get_stream("ADVISORIES").await.ok()?;
        (stream.cached_info().state.messages == 1).then_some(())
    })
    .await;
    publish(&bus, numbers(0..1)).await; // it has the number that the older notice names
    let running = run(&bus, |_, _| Verdict::Ack);
    drained(&bus, 0).await;
    eventually("the notice to be read", PATIENCE, async || {
        let stream = bus.jetstream().get_stream("ADVISORIES").await.ok()?;
        let reader = stream.consumer_info("test-advisories").await.ok()?;
        (reader.num_pending == 0 && reader.num_ack_pending == 0).then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(dead_letters(&bus).await.len(), 0);
}

#[tokio::test]
async fn i15_a_stream_that_was_deleted_and_made_again_is_read_from_its_start() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    let running = run(&bus, |_, _| Verdict::Ack);
    publish(&bus, numbers(0..10)).await;
    drained(&bus, 0).await;
    bus.jetstream().delete_stream(ACCOUNTS.name).await.unwrap();
    bus::provision(&bus, None).await.unwrap();
    publish(&bus, numbers(10..15)).await;
    eventually("the new stream to be read", PATIENCE, async || {
        (running.seen.distinct() == 15).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn i15_a_broker_that_lost_everything_is_read_again_once_it_is_provisioned() {
    let mut nats = NatsServer::start().await;
    let bus = nats.provision().await;
    let running = run(&bus, |_, _| Verdict::Ack);
    publish(&bus, numbers(0..10)).await;
    drained(&bus, 0).await;
    nats.wipe_and_restart().await;
    nats.provision().await;
    publish(&bus, numbers(10..15)).await;
    eventually("the new stream to be read", PATIENCE, async || {
        (running.seen.distinct() == 15).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn drift_is_found_and_provisioning_mends_it() {
    let nats = NatsServer::start().await;
    let bus = nats.provision().await;
    assert_eq!(bus::drift(&bus).await.unwrap(), []);
    let mut config = bus
        .jetstream()
        .get_stream(ACCOUNTS.name)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    config.max_bytes = 1 << 20;
    bus.jetstream().update_stream(config).await.unwrap();
    bus.jetstream()
        .delete_stream(DEAD_LETTERS.name)
        .await
        .unwrap();
    let found: Vec<_> = bus::drift(&bus)
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "stream ACCOUNTS: max_bytes is 1048576, should be 1073741824",
            "stream DEAD_LETTERS: is missing",
        ]
    );
    bus::provision(&bus, None).await.unwrap();
    assert_eq!(bus::drift(&bus).await.unwrap(), []);
}
