//! A stop while everything hangs that it could wait for.

use std::net::TcpListener;

use kit::testing::{Phase, Proxy, SmtpServer};
use tokio::net::TcpStream;

use crate::{client::mail, world::World};

#[tokio::test]
async fn i18_a_stop_ends_in_time_when_everything_hangs_at_once() {
    let server = SmtpServer::start().await;
    server.on(Phase::Rcpt).to("stuck@example.com").hang();
    let lost = server.on(Phase::FinalDot).to("lost@example.com");
    lost.accept_and_hang();
    let Some(world) = World::on_postgres("all_hangs", &server).await else {
        return;
    };
    let direct = world.settings().get("USHER_DATABASE_URL").to_owned();
    let database = Proxy::before(&direct, 1).await;
    // Takes connections and never says a word.
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let settings = [
        ("USHER_DATABASE_URL", &*database.url(&direct)),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("USHER_MAIL_COMMAND_DEADLINE", "1m"),
        ("USHER_MAIL_REPLY_DEADLINE", "1m"),
        ("USHER_MAIL_STOP_GRACE", "4s"),
    ];
    let process = world.process(&settings).await;
    let mut delivery = process.client().open().await;
    delivery.deliver(mail("ada@example.com")).await;
    for email in ["stuck@example.com", "lost@example.com"] {
        delivery.offer(mail(email)).await;
    }
    let _silent = TcpStream::connect(process.addr()).await.unwrap();
    server
        .until("both to be under way", |server| server.connections() == 2)
        .await;
    database.hole();
    process.terminate().await;
}
