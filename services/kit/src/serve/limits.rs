//! How much strangers may take of a service: the limits of its listeners. What is not limited here
//! is what an attacker uses.

use std::time::Duration;

use anyhow::ensure;

use super::descriptors;
use crate::config::{at_least_one, duration};

/// Connections by default, where the process may open so many files: at some 20 KiB each, idle
/// ones cost 20 MiB.
const CONNECTIONS: usize = 1_024;
/// What a service opens besides: its database, the broker, the mail server, logs.
const OTHER_FILES: usize = 128;

/// The limits of both listeners. Doc comments are the help and the reference.
#[derive(clap::Args, Debug, Clone)]
#[group(skip)] // as `ServiceSettings`
pub struct ListenerSettings {
    /// Connections of the gRPC listener at once; a further one takes the place of the one that has
    /// been silent or idle for longest. Unset: 1024, or what the limit of open files leaves
    #[arg(long, env = "USHER_CONNECTIONS", value_parser = at_least_one)]
    pub(super) connections: Option<usize>,

    /// Connections of the operators' listener at once, which the others cannot take
    #[arg(long, env = "USHER_ADMIN_CONNECTIONS", default_value_t = 64, value_parser = at_least_one)]
    pub(super) admin_connections: usize,

    /// Calls of one connection at once: HTTP/2's MAX_CONCURRENT_STREAMS; callers wait with further
    /// ones, RFC 9113 §5.1.2 recommends no less than 100
    #[arg(long, env = "USHER_CONNECTION_CALLS", default_value_t = 256, value_parser = at_least_one)]
    pub(super) connection_calls: usize,

    /// Calls of a listener at once, streams apart, and no more than two for each connection that it
    /// takes; for a further one the connection makes room
    /// that has kept a call waiting for longest, by a slow request or an answer that it does not
    /// take, else it is refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "USHER_CALLS", default_value_t = 1024, value_parser = at_least_one)]
    pub(super) calls: usize,

    /// Streams of a listener at once, such as watches and deliveries, and no more than half as many
    /// as connections; further ones are refused with RESOURCE_EXHAUSTED
    #[arg(long, env = "USHER_STREAMS", default_value_t = 512, value_parser = at_least_one)]
    pub(super) streams: usize,

    /// How long a connection may take until it has said that it speaks HTTP (HTTP/2: its preface;
    /// HTTP/1: each request's head)
    #[arg(long, env = "USHER_PREFACE_DEADLINE", default_value = "5s", value_parser = duration)]
    pub(super) preface_deadline: Duration,

    /// A connection without a call is closed after that long
    #[arg(long, env = "USHER_CONNECTION_IDLE", default_value = "5m", value_parser = duration)]
    pub(super) connection_idle: Duration,

    /// A connection takes no new calls from that age on, a tenth more or less, and its streams end:
    /// their callers ask anew, by a new connection, and new replicas get their share
    #[arg(long, env = "USHER_CONNECTION_AGE", default_value = "30m", value_parser = duration)]
    pub(super) connection_age: Duration,

    /// How long calls that were begun may go on, on a connection that is to be closed
    #[arg(long, env = "USHER_CONNECTION_GRACE", default_value = "30s", value_parser = duration)]
    pub(super) connection_grace: Duration,
}

/// The limits of one listener.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) connection_calls: u32,
    pub(super) calls: usize,
    pub(super) streams: usize,
    pub(super) preface_deadline: Duration,
    pub(super) idle: Duration,
    pub(super) age: Duration,
    pub(super) grace: Duration,
}

impl ListenerSettings {
    /// Streams of a listener at once.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// The limits of the public listener and of the operators', where this process may open so
    /// many files; raises that limit as far as it goes.
    ///
    /// # Errors
    /// What makes no sense, as a sentence that says what would.
    pub(super) fn limits(&self) -> anyhow::Result<(Limits, Limits)> {
        let files = descriptors::raise();
        let taken = self.admin_connections.saturating_add(OTHER_FILES);
        let most = files.saturating_sub(taken);
        let connections = self.connections.unwrap_or(CONNECTIONS.min(most));
        ensure!(
            (1..=most).contains(&connections),
            "USHER_CONNECTIONS: {connections} connections, {} of operators \
             (USHER_ADMIN_CONNECTIONS) and {OTHER_FILES} other files are more than the {files} that \
             this process may open. Set it to at most {most}, or raise that limit (`ulimit -n`, \
             systemd's LimitNOFILE).",
            self.admin_connections,
        );
        let public = self.of(connections);
        let admin = self.of(self.admin_connections);
        Ok((public, admin))
    }

    fn of(&self, connections: usize) -> Limits {
        Limits {
            connections,
            connection_calls: u32::try_from(self.connection_calls).unwrap_or(u32::MAX),
            // What operators and probes ask is large, and never asked so often.
            calls: self.calls.min(connections.saturating_mul(2)),
            // Each can hold a connection that makes room for nobody.
            streams: self.streams.min(connections.div_ceil(2)),
            preface_deadline: self.preface_deadline,
            idle: self.connection_idle,
            age: self.connection_age,
            grace: self.connection_grace,
        }
    }
}
