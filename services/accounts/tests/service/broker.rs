//! Events on their way to the broker, and a broker that is away.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::{message::StreamMessage, stream};
use futures::future::join_all;
use kit::{
    bus::Bus,
    testing::{NatsServer, Proxy, SmallDisk, Way, eventually},
};
use prost::Message as _;
use proto::{
    accounts::{Account, AccountCreated},
    events::{Event as _, headers},
    streams::ACCOUNTS,
};

use crate::{
    client::sign_up,
    world::{Service, UNPUBLISHED, World},
};

/// The first message of stream ACCOUNTS, once all events are published.
async fn first_event(world: &World) -> StreamMessage {
    world.until_none(UNPUBLISHED).await;
    let bus = world.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    stream.get_raw_message(1).await.unwrap()
}

#[tokio::test]
async fn i09_a_created_account_is_published_with_its_address_and_all_that_the_mail_needs() {
    let world = World::new().await;
    let service = world.start().await;
    let account = service
        .client()
        .create(sign_up("Ada@bücher.example"))
        .await
        .unwrap();
    let event = first_event(&world).await;
    assert_eq!(event.subject.as_str(), "accounts.v1.account_created");
    let Account {
        account_id,
        email,
        display_name,
        locale,
        created_at,
        ..
    } = account;
    let payload = AccountCreated::decode(event.payload).unwrap();
    assert_eq!(
        payload,
        AccountCreated {
            account_id: account_id.clone(),
            email,
            display_name,
            locale,
            created_at
        }
    );
    let header = |name| event.headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(header(headers::TYPE), AccountCreated::TYPE);
    assert_eq!(header(headers::SUBJECT), account_id);
    assert_eq!(header(headers::ID), header(headers::MESSAGE_ID));
}

#[tokio::test]
async fn i16_the_address_is_in_the_payload_and_in_no_header() {
    let world = World::new().await;
    let service = world.start().await;
    service
        .client()
        .create(sign_up("canary.address@example.org"))
        .await
        .unwrap();
    let event = first_event(&world).await;
    let payload = String::from_utf8_lossy(&event.payload).into_owned();
    assert!(payload.contains("canary.address@example.org"));
    let headers = format!("{:?}", event.headers);
    assert!(
        !headers.contains("canary") && !headers.contains("example.org"),
        "{headers}"
    );
    assert!(!headers.contains("Lovelace"), "{headers}");
}

#[tokio::test]
async fn i03_with_the_broker_away_at_the_start_accounts_are_taken_and_published_when_it_is_back() {
    let mut nats = NatsServer::start().await;
    nats.stop();
    let mut world = World::without_streams(nats);
    let service = world.start().await;
    let client = service.client();
    for n in 0..20 {
        client
            .create(sign_up(&format!("ada{n}@example.org")))
            .await
            .unwrap();
    }
    assert_eq!(world.count(UNPUBLISHED).await, 20);
    assert_eq!(
        service.probe("/readyz").await.0,
        200,
        "a pod that can take sign-ups is ready"
    );
    assert!(
        service.probe("/readyz").await.1.contains("broker"),
        "but says that the broker is away"
    );

    world.nats.restart().await;
    world.nats.provision().await;
    world.until_none(UNPUBLISHED).await;
}

#[tokio::test]
async fn i03_what_was_not_published_before_a_restart_is_published_after_it() {
    let mut nats = NatsServer::start().await;
    nats.stop();
    let mut world = World::without_streams(nats);
    let service = world.start().await;
    service
        .client()
        .create(sign_up("ada@example.org"))
        .await
        .unwrap();
    service.stop().await;
    world.nats.restart().await;
    world.nats.provision().await;
    let _again = world.start().await;
    world.until_none(UNPUBLISHED).await;
}

/// What readiness says of the broker, as soon as it says this.
async fn told(service: &Service, reason: &str) -> String {
    eventually(reason, Duration::from_secs(30), async || {
        let (code, body) = service.probe("/readyz").await;
        assert_eq!(code, 200, "work waits: {body}");
        body.contains(reason).then_some(body)
    })
    .await
}

/// Waits for all events to be published after a fault has healed: I3.
async fn published(world: &World) {
    world.nats.provision().await;
    let published = async || (world.count(UNPUBLISHED).await == 0).then_some(());
    eventually("all events", Duration::from_secs(60), published).await;
}

#[tokio::test]
async fn i03_i20_an_event_that_a_strange_stream_would_take_waits_for_its_own() {
    let world = World::without_streams(NatsServer::start().await);
    let bus = Bus::connect(&world.nats.settings(), "test").await.unwrap();
    let strange = stream::Config {
        name: "STRANGE".to_owned(),
        subjects: vec!["accounts.>".to_owned()],
        ..Default::default()
    };
    bus.jetstream().create_stream(strange).await.unwrap();
    let service = world.start().await;
    service
        .client()
        .create(sign_up("ada@example.com"))
        .await
        .unwrap();
    let body = told(&service, "stream STRANGE takes its subjects").await;
    assert!(body.contains("nats stream rm STRANGE"), "{body}");
    let info = bus.jetstream().get_stream("STRANGE").await.unwrap();
    assert_eq!(
        info.cached_info().state.messages,
        0,
        "it is none of its events"
    );
    assert_eq!(world.count(UNPUBLISHED).await, 1);

    bus.jetstream().delete_stream("STRANGE").await.unwrap();
    published(&world).await;
    let event = first_event(&world).await;
    assert_eq!(event.subject.as_str(), AccountCreated::SUBJECT);
    told(&service, "\"degraded\":{}").await;
    service.stop().await;
}

#[tokio::test]
async fn i03_i20_a_broker_that_comes_back_without_jetstream_is_told_of_and_loses_nothing() {
    let mut world = World::new().await;
    let service = world.start().await;
    told(&service, "\"degraded\":{}").await;
    world.nats.configure("jetstream: false\n");
    world.nats.restart().await;
    let client = service.client();
    client.create(sign_up("ada@example.com")).await.unwrap();
    let body = told(&service, "has no JetStream").await;
    assert!(body.contains("nats-server -js"), "{body}");
    world.nats.configure("");
    world.nats.restart().await;
    published(&world).await;
    told(&service, "\"degraded\":{}").await;
    service.stop().await;
}

#[tokio::test]
async fn i01_i03_i20_a_broker_whose_disk_was_full_is_told_of_and_loses_nothing_once_started_again()
{
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut world = World::without_streams(NatsServer::start_on(&disk).await);
    world.nats.provision().await;
    let service = world.start().await;
    let client = service.client();
    disk.fill();
    for number in 0..20 {
        let address = format!("person{number}@example.com");
        client.create(sign_up(&address)).await.unwrap();
    }
    let body = told(&service, "acknowledges no events").await;
    assert!(body.contains("free space"), "{body}");
    disk.free();
    let (_, body) = service.probe("/readyz").await;
    assert!(
        body.contains("then restart it"),
        "the stream stays dead: {body}"
    );

    world.nats.stop();
    world.nats.restart().await;
    published(&world).await;
    told(&service, "\"degraded\":{}").await;
    let bus = world.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let mut ids = BTreeSet::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        // What a broken write left behind has a number and no message.
        if let Ok(event) = stream.get_raw_message(sequence).await {
            ids.insert(event.headers.get(headers::SUBJECT).unwrap().to_string());
        }
    }
    assert_eq!(ids.len(), 20);
    service.stop().await;
}

/// The first time in silence, until accounts notices by itself; then the connection breaks.
#[tokio::test]
async fn i03_i14_events_whose_acknowledgements_are_lost_are_published_again_and_stored_once() {
    const AT_ONCE: usize = 20;
    let world = World::new().await;
    let to_nats = Proxy::before(world.nats.url(), 1).await;
    let through = to_nats.url(&world.nats.url());
    let service = world.start_with(&[("USHER_NATS_URL", &through)]).await;
    let (client, rounds) = (service.client(), 2);
    for round in 0..rounds {
        to_nats.trap(Way::Back, r#""stream":"ACCOUNTS""#);
        let sign_ups = (0..AT_ONCE).map(|number| {
            let (client, email) = (client.clone(), format!("ada{round}.{number}@example.org"));
            async move { client.create(sign_up(&email)).await.unwrap() }
        });
        let accounts = join_all(sign_ups).await;
        assert_eq!(accounts.len(), AT_ONCE);
        to_nats.sprung("an acknowledgement").await;
        if round > 0 {
            to_nats.cut();
            to_nats.pass();
        }
        published(&world).await;
    }
    let bus = world.nats.provision().await;
    let stream = bus.jetstream().get_stream(ACCOUNTS.name).await.unwrap();
    let stored = usize::try_from(stream.cached_info().state.messages);
    assert_eq!(stored, Ok(rounds * AT_ONCE));
}
