//! Signals that whoever started a process wants it to ignore.

use std::fs;

use kit::testing::{Process, World};
use rustix::process::Signal;
use tokio::process::Command;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{processes::signal, world::USHER};

#[tokio::test]
async fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let world = World::<()>::on_sqlite();
    let mut command = Command::new("sh");
    // As `nohup usher accounts &` does.
    let start = r#"trap "" HUP INT; exec "$0" accounts"#;
    command
        .args(["-c", start, USHER])
        .current_dir(world.folder());
    let settings = world
        .settings()
        .with(&[("USHER_NATS_URL", "nats://127.0.0.1:1")]);
    let process = Process::<Channel>::start(command, &settings).await;
    for ignored in [Signal::HUP, Signal::INT] {
        signal(process.id(), ignored);
        let kept = 1_u64 << (ignored.as_raw() - 1);
        assert_eq!(mask(process.id(), "SigIgn:") & kept, kept, "{ignored:?}");
    }
    let health = HealthClient::new(process.client());
    let answer = health.clone().check(HealthCheckRequest::default()).await;
    answer.expect("it goes on");
    process.terminate().await;
}

fn mask(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let bits = status.lines().find_map(|line| line.strip_prefix(name));
    u64::from_str_radix(bits.expect("Linux tells").trim(), 16).expect("a mask is hexadecimal")
}
