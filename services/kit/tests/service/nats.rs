//! The nats-server of tests: what it keeps over a restart and what it does not.

use async_nats::jetstream::{self, stream};
use kit::testing::NatsServer;

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn publish_one(server: &NatsServer) {
    let jetstream = jetstream(server).await;
    let config = stream::Config {
        name: "S".to_owned(),
        subjects: vec!["s".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    jetstream
        .publish("s", "payload".into())
        .await
        .unwrap()
        .await
        .unwrap();
}

async fn messages(server: &NatsServer) -> Option<u64> {
    let jetstream = jetstream(server).await;
    Some(
        jetstream
            .get_stream("S")
            .await
            .ok()?
            .get_info()
            .await
            .ok()?
            .state
            .messages,
    )
}

#[tokio::test]
async fn a_restarted_nats_server_keeps_its_address_and_its_messages() {
    let mut server = NatsServer::start().await;
    publish_one(&server).await;
    let url = server.url();

    server.stop();
    assert!(
        async_nats::connect(&url).await.is_err(),
        "a stopped server takes no connections"
    );
    server.restart().await;

    assert_eq!(server.url(), url);
    assert_eq!(messages(&server).await, Some(1));
}

#[tokio::test]
async fn a_wiped_nats_server_has_lost_everything_but_its_address() {
    let mut server = NatsServer::start().await;
    publish_one(&server).await;
    let url = server.url();

    server.wipe_and_restart().await;

    assert_eq!(server.url(), url);
    assert_eq!(messages(&server).await, None);
}

#[tokio::test]
async fn nats_servers_do_not_get_in_each_others_way() {
    let (one, other) = tokio::join!(NatsServer::start(), NatsServer::start());
    publish_one(&one).await;
    assert_eq!(messages(&other).await, None);
}
