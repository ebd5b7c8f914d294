//! A stop while everything hangs that it could wait for.

use std::net::TcpListener;

use futures::future::join_all;
use kit::testing::Proxy;
use tokio::net::TcpStream;

use crate::{client::sign_up, world::World};

#[tokio::test]
async fn i18_a_stop_ends_in_time_when_everything_hangs_at_once() {
    let Some(world) = World::on_postgres("all_hangs").await else {
        return;
    };
    world.nats.provision().await;
    let direct = world.settings().get("USHER_DATABASE_URL").to_owned();
    let database = Proxy::before(&direct, 1).await;
    let broker = Proxy::before(world.nats.url(), 2).await;
    // Takes connections and never says a word.
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let settings = [
        ("USHER_DATABASE_URL", &*database.url(&direct)),
        ("USHER_NATS_URL", &*broker.url(&world.nats.url())),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
    ];
    let process = world.process(&settings).await;
    let client = process.client();
    let account = client.create(sign_up("ada@example.com")).await.unwrap();
    let _unread = client.watch(&account.account_id).await.unwrap();
    let _silent = TcpStream::connect(process.addr()).await.unwrap();
    database.hole();
    broker.hole();
    let under_way = (0..50).map(|number| {
        let client = client.clone();
        async move {
            client
                .create(sign_up(&format!("{number}@example.com")))
                .await
        }
    });
    tokio::join!(join_all(under_way), process.terminate());
}
