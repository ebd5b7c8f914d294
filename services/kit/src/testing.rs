//! The real parts that tests run on, each on a free port of 127.0.0.1 and gone with its value; enabled by the
//! feature `testing`, which only `dev-dependencies` turn on.
//!
//! Only the outside world is played by us: [`SmtpServer`] is a mail server that can be told to misbehave.
//! Nothing here sleeps: [`eventually`] asks until it hears, everything else is awaited.

mod eventually;
mod nats;
mod postgres;
mod smtp;

pub use eventually::eventually;
pub use nats::NatsServer;
pub use postgres::Postgres;
pub use smtp::{Mail, On, Phase, Setup, SmtpServer, Tls};

/// Asks a process to end, as an operator would: SIGTERM.
///
/// # Panics
/// When there is no such process.
pub fn terminate(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id is a small positive number");
    kill_process(pid, Signal::TERM).expect("the process takes a SIGTERM");
}
