//! Which ports the local system listens on: the usual ones, or free ones that `run.json` then names.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use clap::ValueEnum;

use crate::{
    exit::{Exit, Failure},
    target::Service,
};

/// `--ports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// 50051–50053 for gRPC, 50151–50153 for admin, 4222 for nats-server
    Usual,
    /// Any free ones; commands find them through the data folder
    Auto,
}

/// A port for every listener, all on loopback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    grpc: [u16; 3],
    admin: [u16; 3],
    pub(crate) nats: u16,
}

impl Ports {
    /// Chooses, making sure that nobody listens there now.
    ///
    /// # Errors
    /// When a usual port is taken.
    pub(crate) fn choose(choice: Choice) -> Result<Self, Failure> {
        match choice {
            Choice::Usual => Self::usual(),
            Choice::Auto => Self::auto(),
        }
    }

    /// Where a service's gRPC listens.
    pub(crate) fn grpc(&self, service: Service) -> SocketAddr {
        loopback(self.grpc[service as usize])
    }

    /// Where its admin listener is.
    pub(crate) fn admin(&self, service: Service) -> SocketAddr {
        loopback(self.admin[service as usize])
    }

    fn usual() -> Result<Self, Failure> {
        let grpc = Service::ALL.map(Service::port);
        let ports = Self {
            grpc,
            admin: grpc.map(|port| port + 100),
            nats: 4222,
        };
        let wanted = ports.grpc.iter().chain(&ports.admin).chain([&ports.nats]);
        let taken: Vec<String> = wanted
            .filter(|port| bind(**port).is_none())
            .map(u16::to_string)
            .collect();
        if taken.is_empty() {
            return Ok(ports);
        }
        let ports = if taken.len() == 1 { "Port" } else { "Ports" };
        let are = if taken.len() == 1 { "is" } else { "are" };
        let what = format!(
            "{ports} {} {are} taken by another program.",
            taken.join(", ")
        );
        Err(Failure::new(Exit::Refused, what).hint(
            "`usher up --ports auto` takes free ones; commands find them through the data folder.",
        ))
    }

    /// Below the range from which operating systems take the local ends of outgoing connections: there, a port
    /// could be taken while a crashed child waits for its restart. All are held until all are found.
    fn auto() -> Result<Self, Failure> {
        let first = 20_000 + std::process::id().wrapping_mul(7919) % 12_000;
        let mut held = Vec::new();
        for offset in 0..12_000 {
            let port = u16::try_from(20_000 + (first - 20_000 + offset) % 12_000).unwrap_or(20_000);
            held.extend(bind(port).map(|listener| (port, listener)));
            if let [a, b, c, d, e, f, nats] = &held[..] {
                return Ok(Self {
                    grpc: [a.0, b.0, c.0],
                    admin: [d.0, e.0, f.0],
                    nats: nats.0,
                });
            }
        }
        Err(Failure::new(
            Exit::Failed,
            "No seven free ports were found between 20000 and 32000.",
        ))
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind(loopback(port)).ok()
}
