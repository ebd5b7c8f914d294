//! Events on their way to the broker, and a broker that is away.

use async_nats::jetstream::message::StreamMessage;
use kit::testing::NatsServer;
use prost::Message as _;
use proto::{
    accounts::{Account, AccountCreated},
    events::{Event as _, headers},
    streams::ACCOUNTS,
};

use crate::{
    client::sign_up,
    world::{UNPUBLISHED, World},
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
