//! A broker that falls silent in the middle: what it acknowledged until then is marked while the rest
//! is still waited for, so that a crash meanwhile publishes none of it again.

use kit::{
    bus::{BrokerSettings, Bus, NatsUrl},
    clock::Clock,
    db::Db,
    outbox::RelaySettings,
    testing::{NatsServer, Proxy, SOON, Way, eventually},
};
use sea_orm::{ConnectionTrait as _, Statement};

use super::{Writer, ids, sqlite};

/// How many events are written; the broker's acknowledgement of the last one is lost.
const EVENTS: usize = 20;

/// A writer whose broker falls silent with its last acknowledgement.
struct Scene {
    db: Db,
    writer: Writer,
    proxy: Proxy,
    _nats: NatsServer,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let (nats, folder) = (NatsServer::start().await, kit::testing::folder());
        nats.provision().await;
        let db = sqlite(&folder, Clock::default()).await;
        let proxy = Proxy::before(nats.url(), 7).await;
        let url: NatsUrl = proxy.url(&nats.url()).parse().unwrap();
        let bus = Bus::connect(&BrokerSettings::from(url), "test").await;
        let bus = bus.unwrap();
        let connected = async || bus.is_connected().then_some(());
        eventually("the broker", SOON, connected).await;
        proxy.trap(Way::Back, format!("\"seq\":{EVENTS}}}"));
        Self {
            writer: Writer::start(&db, &bus, RelaySettings::default()).await,
            db,
            proxy,
            _nats: nats,
            _folder: folder,
        }
    }

    /// The broker is silent, and all but the last event come to be marked before its publish has
    /// failed.
    async fn marks_all_that_was_acknowledged(self) {
        self.proxy.sprung("the last acknowledgement").await;
        let marked = async || (self.count("published_at > 0").await == EVENTS - 1).then_some(());
        eventually("what was acknowledged to be marked", SOON, marked).await;
        let waits = "published_at IS NULL AND attempts = 0";
        assert_eq!(self.count(waits).await, 1, "the last one still waits");
        self.writer.stop().await;
    }

    async fn count(&self, condition: &str) -> usize {
        let sql = format!("SELECT count(*) FROM outbox WHERE {condition}");
        let row = Statement::from_string(self.db.backend(), sql);
        let row = self.db.reader().query_one_raw(row).await.unwrap().unwrap();
        usize::try_from(row.try_get_by_index::<i64>(0).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn what_a_broker_acknowledged_of_a_window_before_it_fell_silent_is_marked_at_once() {
    let scene = Scene::start().await;
    scene.writer.write(&ids(EVENTS), true).await;
    scene.marks_all_that_was_acknowledged().await;
}

/// Marks that wait for company, while the next window waits for the broker.
#[tokio::test]
async fn what_a_broker_acknowledged_of_earlier_windows_is_marked_while_the_next_one_waits() {
    let scene = Scene::start().await;
    for id in ids(EVENTS) {
        scene.writer.write(&[id], true).await;
    }
    scene.marks_all_that_was_acknowledged().await;
}
