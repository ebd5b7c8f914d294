//! Which ports the local system listens on: the usual ones, or free ones that `run.json` then
//! names.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use clap::ValueEnum;

use crate::{
    exit::{Exit, Failure},
    service::{PerService, Service},
};

/// `--ports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PortChoice {
    /// 50051–50053 for gRPC, 50151–50153 for admin, 4222 for nats-server
    Usual,
    /// Any free ones; commands find them through the data folder
    Auto,
}

/// A port for every listener, all on loopback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    grpc: PerService<u16>,
    admin: PerService<u16>,
    pub(crate) nats: u16,
}

impl Ports {
    /// Chooses, making sure that nobody listens there now.
    pub(crate) fn choose(choice: PortChoice) -> Result<Self, Failure> {
        match choice {
            PortChoice::Usual => Self::usual(),
            PortChoice::Auto => Self::auto(),
        }
    }

    pub(crate) fn grpc(&self, service: Service) -> SocketAddr {
        loopback(self.grpc[service])
    }

    pub(crate) fn admin(&self, service: Service) -> SocketAddr {
        loopback(self.admin[service])
    }

    fn usual() -> Result<Self, Failure> {
        let ports = Self {
            grpc: PerService::of(Service::port),
            admin: PerService::of(|service| service.port() + 100),
            nats: 4222,
        };
        let mut wanted = Vec::from(Service::ALL.map(|service| ports.grpc[service]));
        wanted.extend(Service::ALL.map(|service| ports.admin[service]));
        wanted.push(ports.nats);
        wanted.retain(|port| bind(*port).is_none());
        let what = match &wanted[..] {
            [] => return Ok(ports),
            [taken] => format!("Port {taken} is taken by another program."),
            _ => {
                let taken: Vec<String> = wanted.iter().map(u16::to_string).collect();
                let taken = taken.join(", ");
                format!("Ports {taken} are taken by another program.")
            }
        };
        Err(Failure::new(Exit::Refused, what).hint(
            "`usher up --ports auto` takes free ones; commands find them through the data folder.",
        ))
    }

    fn auto() -> Result<Self, Failure> {
        // Below the range from which operating systems take the local ends of outgoing connections:
        // there, a port could be taken while a crashed child waits for its restart.
        const FIRST: u16 = 20_000;
        const COUNT: u16 = 12_000;
        // By the process: several systems that start at once seldom meet in their search.
        let offset = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
        let begin = FIRST + u16::try_from(offset).unwrap_or_default();
        let mut free = Vec::new();
        // Until all are found: another system may look for its own now.
        let mut held = Vec::new();
        for port in (begin..FIRST + COUNT).chain(FIRST..begin) {
            let Some(listener) = bind(port) else {
                continue;
            };
            free.push(port);
            held.push(listener);
            if let [a, b, c, d, e, f, nats] = free[..] {
                return Ok(Self {
                    grpc: PerService {
                        accounts: a,
                        verification: b,
                        mailer: c,
                    },
                    admin: PerService {
                        accounts: d,
                        verification: e,
                        mailer: f,
                    },
                    nats,
                });
            }
        }
        let what = "No seven free ports were found between 20000 and 32000.";
        Err(Failure::new(Exit::Failed, what))
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind(loopback(port)).ok()
}
