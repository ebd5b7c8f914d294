//! The command against a cluster of three brokers, which keeps copies of every stream.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use kit::{
    bus::{Bus, NatsUrl},
    testing::{NatsServer, SOON, eventually, free_port},
};
use tempfile::TempDir;

use crate::world::usher;

#[tokio::test]
async fn provisioning_again_keeps_the_copies_that_streams_have() {
    let cluster = Cluster::start();
    eventually("the cluster to take streams", SOON, async || {
        cluster.provision(&["--replicas", "3"]).then_some(())
    })
    .await;
    let url: NatsUrl = cluster.url.parse().expect("a URL of a broker");
    let bus = Bus::connect(&url.into(), "test").await;
    let bus = bus.expect("a connection need not be up yet");
    let copies = async || {
        let stream = bus
            .jetstream()
            .get_stream(proto::streams::ACCOUNTS.name)
            .await
            .ok()?;
        Some(stream.cached_info().config.num_replicas)
    };
    assert_eq!(eventually("the broker to answer", SOON, copies).await, 3);
    assert!(cluster.provision(&[]), "provisioning may be repeated");
    assert_eq!(eventually("the broker to answer", SOON, copies).await, 3);
    assert!(
        cluster.provision(&["--replicas", "1"]),
        "who asks for fewer copies gets them"
    );
    assert_eq!(eventually("the broker to answer", SOON, copies).await, 1);
}

/// Three servers; killed when dropped.
struct Cluster {
    _folder: TempDir,
    url: String,
    servers: Vec<Child>,
}

impl Cluster {
    fn start() -> Self {
        let folder = kit::testing::folder();
        let [clients, routes]: [[u16; 3]; 2] =
            std::array::from_fn(|_| std::array::from_fn(|_| free_port()));
        let others = routes
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect::<Vec<_>>();
        let start = |number: usize| {
            let configuration = folder.path().join(format!("{number}.conf"));
            let text = format!(
                "server_name: n{number}\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: {:?} }}\n\
                 cluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
                clients[number],
                folder.path().join(format!("{number}")),
                routes[number],
                others.join(", "),
            );
            fs::write(&configuration, text).expect("the folder can be written");
            let mut server = Command::new(NatsServer::program());
            server
                .arg("-c")
                .arg(configuration)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            server
                .stderr(Stdio::null())
                .spawn()
                .expect("nats-server can be run")
        };
        let servers = (0..3).map(start).collect();
        Self {
            url: format!("nats://127.0.0.1:{}", clients[0]),
            _folder: folder,
            servers,
        }
    }

    /// Whether `usher nats provision` succeeds.
    fn provision(&self, arguments: &[&str]) -> bool {
        let mut command = usher();
        command
            .args(["nats", "provision", "--nats-url", &self.url])
            .args(arguments);
        command.output().expect("usher can be run").status.success()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
