//! Where the local system's traces go: to the collector that the environment names or that listens already, to a
//! Jaeger started for it, or into `usher up` itself, which draws them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::otlp::OtlpReceiver;
use tokio::{net::TcpStream, time::timeout};

use super::{
    orphan,
    ports::Choice,
    supervise::{Ending, Program},
    system::System,
};

/// OTLP/gRPC's port on every collector.
const COLLECTOR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);

/// Where they go.
#[derive(Debug)]
pub(crate) enum Traces {
    /// To a collector that somebody else runs.
    Collector(String),
    /// To a Jaeger that runs as our child.
    Jaeger,
    /// To this process, which draws each finished journey.
    Drawn(OtlpReceiver),
}

/// What the services export.
#[derive(Debug, Clone)]
pub(crate) struct Exports {
    /// OTLP/gRPC.
    pub(crate) endpoint: String,
    /// Whether metrics and logs go there too.
    pub(crate) signals: Signals,
}

/// The signals that an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    /// Traces, metrics and logs.
    All,
    /// Traces alone.
    Traces,
}

impl Exports {
    /// Spans to a receiver in this process.
    pub(crate) fn traces_to(receiver: &OtlpReceiver) -> Self {
        Self {
            endpoint: receiver.endpoint(),
            signals: Signals::Traces,
        }
    }
}

impl Traces {
    /// Decides; starts a Jaeger if that is the decision. With free ports nothing outside is looked for: several
    /// such systems may run beside each other.
    pub(crate) async fn choose(system: &mut System, ports: Choice) -> anyhow::Result<Self> {
        let (jaeger, pid_file) = (on_path("jaeger"), system.data().path("jaeger.pid"));
        if let Some(binary) = &jaeger {
            // One that a killed `usher up` left behind would pass for somebody else's collector.
            orphan::end("jaeger", &pid_file, binary).await?;
        }
        let named = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT")
            .ok()
            .filter(|url| !url.is_empty());
        if let Some(url) = named {
            return Ok(Self::Collector(url));
        }
        if ports == Choice::Usual {
            let connected =
                timeout(Duration::from_millis(200), TcpStream::connect(COLLECTOR)).await;
            if matches!(connected, Ok(Ok(_))) {
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
        Ok(Self::Drawn(
            OtlpReceiver::bind((Ipv4Addr::LOCALHOST, 0).into()).await?,
        ))
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

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
