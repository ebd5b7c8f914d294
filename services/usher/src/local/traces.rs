//! Where the local system's traces go: to the collector that the environment names or that listens
//! already, to a Jaeger started for it, or into `usher up` itself, which draws them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::{
    exports::{Exports, Signals},
    orphan,
    ports::PortChoice,
    supervise::{Ending, Program},
    system::System,
};
use crate::otlp::OtlpReceiver;

/// OTLP/gRPC's port on every collector.
const COLLECTOR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);

#[derive(Debug)]
pub(crate) enum Traces {
    /// Go to a collector that somebody else runs.
    Collector(String),
    /// Go to a Jaeger that runs as our child.
    Jaeger,
    /// Go to this process, which draws each finished journey.
    Drawn(OtlpReceiver),
}

impl Traces {
    /// Decides; starts a Jaeger if that is the decision.
    pub(crate) async fn choose(system: &mut System, ports: PortChoice) -> anyhow::Result<Self> {
        let jaeger = on_path("jaeger");
        let pid_file = system.data().path("jaeger.pid");
        if let Some(binary) = &jaeger {
            // One that a killed `usher up` left behind would pass for somebody else's collector.
            orphan::end("jaeger", &pid_file, binary).await?;
        }
        if let Ok(url) = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT")
            && !url.is_empty()
        {
            return Ok(Self::Collector(url));
        }
        // With free ports nothing outside is looked for: such systems run beside each other.
        if ports == PortChoice::Usual {
            if collector_listens().await {
                return Ok(Self::Collector(format!("http://{COLLECTOR}")));
            }
            if let Some(binary) = jaeger {
                system.keep(Program {
                    name: "jaeger",
                    binary,
                    arguments: Vec::new(),
                    environment: Vec::new(),
                    ending: Ending::Terminated,
                    pid_file: Some(pid_file),
                });
                return Ok(Self::Jaeger);
            }
        }
        let receiver = OtlpReceiver::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        Ok(Self::Drawn(receiver))
    }

    /// What the services send to whom.
    pub(crate) fn spans_to(&self) -> Exports {
        match self {
            Self::Collector(url) => Exports {
                endpoint: url.clone(),
                signals: Signals::All,
            },
            Self::Jaeger => Exports {
                endpoint: format!("http://{COLLECTOR}"),
                signals: Signals::Traces,
            },
            Self::Drawn(receiver) => Exports::traces_to(receiver),
        }
    }

    /// Where a person looks at them.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Collector(url) => format!("sent to {url}"),
            Self::Jaeger => "Jaeger, http://127.0.0.1:16686".to_owned(),
            Self::Drawn(_) => "drawn below, each journey when it is complete".to_owned(),
        }
    }
}

async fn collector_listens() -> bool {
    let connecting = TcpStream::connect(COLLECTOR);
    let connected = timeout(Duration::from_millis(200), connecting).await;
    matches!(connected, Ok(Ok(_)))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}
