//! The real parts that tests run on, each on a free port of 127.0.0.1 and gone with its value;
//! enabled by the feature `testing`, which only `dev-dependencies` and load-tests turn on. A test
//! makes a [`World`] for its [`Tested`] service, starts it there, once, as a pair or as a
//! [`Process`], calls it as a client, stops it, and looks at the world again. What cannot be done
//! panics: the test has failed.
//!
//! Only the outside world is played by us: [`SmtpServer`] is a mail server that can be told to
//! misbehave, and [`Proxy`] a network that delays, tears, cuts or swallows what it carries. Nothing
//! here sleeps in the hope that something has happened by then: [`eventually()`] asks until it
//! hears, a delay or a hole lasts as long as the test says, everything else is awaited.

mod environment;
mod event;
mod eventually;
mod folder;
mod hole;
mod http2;
mod nats;
mod operator;
mod postgres;
mod process;
mod processes;
mod proxy;
mod refusal;
mod secrets;
mod service;
mod skip;
mod small_disk;
mod smtp;
mod sqlite;
mod table;
mod world;

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

pub use environment::Environment;
pub use event::{event_headers, publish};
pub use eventually::eventually;
pub use folder::folder;
pub use hole::Healed;
pub use http2::Http2;
pub use nats::NatsServer;
pub use operator::NatsOperator;
pub use postgres::{Postgres, PostgresFiles, create_database};
pub use process::Process;
pub use processes::{Listed, processes, signal};
pub use proxy::{Proxy, Way};
pub use refusal::{fields, reason, retry_after, shown};
pub use secrets::make_secrets;
pub use service::{Service, channel, probe};
pub use skip::{is_root, skip};
pub use small_disk::SmallDisk;
pub use smtp::{Certificate, Mail, On, Phase, Pipelining, Setup, SmtpServer, Tls};
pub use sqlite::run_sql;
pub use table::table;
pub use world::{Tested, World};

pub use crate::serve::Name;

/// Long enough for what takes milliseconds, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks a process to end, as an operator would: SIGTERM.
///
/// # Panics
/// When there is no such process.
pub fn terminate(pid: u32) {
    let taken = signal(pid, rustix::process::Signal::TERM);
    assert!(taken, "process {pid} takes no SIGTERM");
}

/// A port that nobody has, for whoever binds it next. It is none of those that the kernel hands out
/// (on Linux from 32768 on), so that no connection of a test beside this one takes it meanwhile,
/// and none that this process was given before.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another process begins elsewhere, so that two of them seldom try the same one at once.
        let turn = std::process::id() * 97 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = NOT_HANDED_OUT.start + turn % (NOT_HANDED_OUT.end - NOT_HANDED_OUT.start);
        let port = u16::try_from(port).expect("a port is a port");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

const NOT_HANDED_OUT: Range<u32> = 10_000..32_768;
