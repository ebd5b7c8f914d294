//! One service alone, as `usher SERVICE` runs it, with a broker of its own: what only a whole process shows.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Child,
};

use async_nats::HeaderMap;
use kit::testing::{NatsServer, World, channel, eventually};
use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
};
use rustix::process::Signal;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::system::{SOON, STOP, ends_within, signal, usher};

/// A service as a process of its own; killed when dropped.
pub(crate) struct Alone {
    pub(crate) nats: NatsServer,
    world: World,
    child: Option<Child>,
    addr: SocketAddr,
}

impl Alone {
    /// Starts it with further variables in its environment and waits until it serves.
    pub(crate) async fn start(service: &str, environment: &[(&str, &str)]) -> Self {
        let nats = NatsServer::start().await;
        nats.provision().await;
        let world = World::on_sqlite();
        let addr = free();
        let said = File::create(world.file("said")).unwrap();
        let mut command = usher();
        command
            .arg(service)
            .current_dir(world.folder())
            .envs(world.settings().pairs())
            .env("USHER_LISTEN", addr.to_string())
            .env("USHER_NATS_URL", nats.url())
            .envs(environment.iter().copied())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let alone = Self {
            nats,
            child: Some(command.spawn().unwrap()),
            addr,
            world,
        };
        eventually("the service to serve", SOON, async || alone.serves().await).await;
        alone
    }

    /// A channel that carries no trace but the one that a test puts on a request.
    pub(crate) fn channel(&self) -> Channel {
        channel(self.addr)
    }

    async fn serves(&self) -> Option<()> {
        let everything = HealthCheckRequest::default();
        let reply = HealthClient::new(self.channel()).check(everything).await;
        (reply.ok()?.get_ref().status() == ServingStatus::Serving).then_some(())
    }

    /// Publishes the event of a new account as accounts would, as part of a trace, and answers with the account's id.
    pub(crate) async fn publish_account(&self, email: &str, traceparent: &str) -> String {
        let clock = &self.world.clock;
        let account_id = clock.uuid_v7().to_string();
        let event = AccountCreated {
            account_id: account_id.clone(),
            email: email.to_owned(),
            display_name: "Ada Lovelace".to_owned(),
            locale: "en".to_owned(),
            created_at: Some(clock.now().into()),
        };
        let event_id = clock.uuid_v7().to_string();
        let mut all = HeaderMap::new();
        for (name, value) in [
            (headers::MESSAGE_ID, event_id.as_str()),
            (headers::ID, &event_id),
            (headers::TYPE, AccountCreated::TYPE),
            (headers::SOURCE, AccountCreated::SOURCE),
            (headers::SUBJECT, &account_id),
            (headers::SPEC_VERSION, headers::SPEC_VERSION_1_0),
            (kit::propagation::TRACEPARENT, traceparent),
        ] {
            all.insert(name, value);
        }
        let payload = prost::Message::encode_to_vec(&event);
        let bus = self.nats.provision().await;
        let jetstream = bus.jetstream();
        let sent = jetstream.publish_with_headers(AccountCreated::SUBJECT, all, payload.into());
        sent.await.unwrap().await.unwrap();
        account_id
    }

    /// Stops it by SIGTERM and answers with what it wrote to its output.
    pub(crate) fn terminate(mut self) -> String {
        let child = self.child.take().unwrap();
        signal(child.id(), Signal::TERM);
        let status = ends_within(child, STOP);
        let said = fs::read_to_string(self.world.file("said")).unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait();
        }
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
