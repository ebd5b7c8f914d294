//! One service alone, as `usher SERVICE` runs it, with a broker of its own: what only a whole process shows.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Child,
};

use async_nats::HeaderMap;
use kit::{
    bus::{self, Bus},
    clock::Clock,
    testing::{NatsServer, eventually},
};
use proto::{
    accounts::AccountCreated,
    events::{Event as _, headers},
};
use rustix::process::Signal;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::system::{SOON, STOP, ends_within, signal, usher};

/// A service as a process of its own; killed when dropped.
pub(crate) struct Alone {
    pub(crate) bus: Bus,
    child: Option<Child>,
    addr: SocketAddr,
    folder: TempDir,
    _nats: NatsServer,
}

impl Alone {
    /// Starts it with further variables in its environment and waits until it serves.
    pub(crate) async fn start(service: &str, environment: &[(&str, &str)]) -> Self {
        let nats = NatsServer::start().await;
        let bus = Bus::connect(&nats.url(), "test").await.unwrap();
        let provisioned = async || bus::provision(&bus, None).await.ok();
        eventually("the streams", SOON, provisioned).await;

        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let said = File::create(file("said")).unwrap();
        let addr = free();
        let mut command = usher();
        command
            .arg(service)
            .current_dir(folder.path())
            .env("USHER_LISTEN", addr.to_string())
            .env("USHER_ADMIN_LISTEN", "127.0.0.1:0")
            .env("USHER_ADMIN_TOKEN_FILE", file("admin-token"))
            .env("USHER_DATABASE_URL", format!("sqlite:{}", file("sqlite")))
            .env("USHER_NATS_URL", nats.url())
            .envs(environment.iter().copied())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let alone = Self {
            bus,
            child: Some(command.spawn().unwrap()),
            addr,
            folder,
            _nats: nats,
        };
        eventually("the service to serve", SOON, async || alone.serves().await).await;
        alone
    }

    /// A channel that carries no trace but the one that a test puts on a request.
    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.addr));
        endpoint.unwrap().connect_lazy()
    }

    async fn serves(&self) -> Option<()> {
        let everything = HealthCheckRequest::default();
        let reply = HealthClient::new(self.channel()).check(everything).await;
        (reply.ok()?.get_ref().status() == ServingStatus::Serving).then_some(())
    }

    /// Publishes the event of a new account as accounts would, as part of a trace, and answers with the account's id.
    pub(crate) async fn publish_account(&self, email: &str, traceparent: &str) -> String {
        let clock = Clock::default();
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
        let jetstream = self.bus.jetstream();
        let sent = jetstream.publish_with_headers(AccountCreated::SUBJECT, all, payload.into());
        sent.await.unwrap().await.unwrap();
        account_id
    }

    /// Stops it by SIGTERM and answers with what it wrote to its output.
    pub(crate) fn terminate(mut self) -> String {
        let child = self.child.take().unwrap();
        signal(child.id(), Signal::TERM);
        let status = ends_within(child, STOP);
        let said = fs::read_to_string(self.path("said")).unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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
