//! One service alone, as `usher SERVICE` runs it, with a broker of its own: what only a whole
//! process shows.

use std::net::SocketAddr;

use kit::testing::{NatsServer, Process, World, event_headers, publish};
use proto::{accounts::AccountCreated, events::Event as _};
use tokio::process::Command;
use tonic::transport::Channel;

use crate::world::USHER;

/// A service as a process of its own; killed when dropped.
pub(crate) struct Alone {
    pub(crate) nats: NatsServer,
    process: Process<Channel>,
    world: World<()>,
}

impl Alone {
    /// Starts it with further settings and waits until it listens.
    pub(crate) async fn start(service: &str, more: &[(&str, &str)]) -> Self {
        let (nats, world) = (NatsServer::start().await, World::on_sqlite());
        nats.provision().await;
        let mut command = Command::new(USHER);
        command.arg(service).current_dir(world.folder());
        let settings = world.settings().with(&[("USHER_NATS_URL", &nats.url())]);
        Self {
            process: Process::start(command, &settings.with(more)).await,
            world,
            nats,
        }
    }

    /// A channel that carries no trace but the one that a test puts on a request.
    pub(crate) fn channel(&self) -> Channel {
        self.process.client()
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.process.addr()
    }

    /// The operators' token.
    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.world.file("admin-token"));
        text.unwrap().trim().to_owned()
    }

    /// Publishes the event of a new account as accounts would, as part of a trace, and answers with
    /// the account's id.
    pub(crate) async fn publish_account(&self, email: &str, traceparent: &str) -> String {
        let account_id = self.world.clock.uuid_v7().to_string();
        let event = AccountCreated {
            account_id: account_id.clone(),
            email: email.to_owned(),
            display_name: "Ada Lovelace".to_owned(),
            locale: "en".to_owned(),
            created_at: Some(self.world.clock.now().into()),
        };
        let event_id = self.world.clock.uuid_v7().to_string();
        let mut headers = event_headers::<AccountCreated>(&event_id, &account_id);
        headers.insert(kit::propagation::TRACEPARENT, traceparent);
        let payload = prost::Message::encode_to_vec(&event);
        let bus = self.nats.provision().await;
        publish(&bus, AccountCreated::SUBJECT, headers, payload).await;
        account_id
    }

    /// Stops it by SIGTERM and answers with what it wrote to its output.
    pub(crate) async fn terminate(self) -> String {
        self.process.terminate().await
    }
}
