//! `usher up` looks after its broker: what only a restart mends is mended by one.

use std::time::Duration;

use kit::{
    files::PrivateFolder,
    testing::{SmallDisk, eventually},
};
use rustix::process::Signal;
use serde_json::Value;

use crate::{processes::signal, world::World};

/// I20, and I3 after the fault has healed.
const KNOWN: Duration = Duration::from_secs(30);
const HEALED: Duration = Duration::from_secs(60);

fn doctor(world: &World) -> (Option<i32>, String) {
    let output = world.command(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[tokio::test]
async fn i01_i03_i20_after_its_disk_was_full_the_broker_is_started_again_and_nobody_is_lost() {
    let mut world = World::unstarted();
    let store = world.data().join("nats");
    PrivateFolder::make(&store).expect("the folder can be written");
    let Some(disk) = SmallDisk::mount_at(&store) else {
        return;
    };
    world.start_again(&[]).await;
    let nats = world.service("nats.conf");
    let address = |number: usize| format!("person{number}@example.com");
    (0..7).for_each(|number| drop(world.sign_up(&address(number))));
    disk.fill();
    (7..20).for_each(|number| drop(world.sign_up(&address(number))));
    let said = eventually("doctor to tell of it", KNOWN, async || {
        let (code, said) = doctor(&world);
        (code == Some(1) && said.contains("acknowledges no events")).then_some(said)
    })
    .await;
    assert!(said.contains("free space where its store lies"), "{said}");
    assert!(
        said.contains("the services cannot use it"),
        "no tick: {said}"
    );
    assert_eq!(
        world.service("nats.conf"),
        nats,
        "a full disk would only be met again"
    );

    disk.free();
    eventually("everybody's mail", HEALED, async || {
        let all = (0..20).all(|number| world.mails_to(&address(number)).len() == 1);
        all.then_some(())
    })
    .await;
    assert_ne!(world.service("nats.conf"), nats);
    eventually("doctor to find nothing", KNOWN, async || {
        let (_, said) = doctor(&world);
        let findings: Vec<Value> = serde_json::from_str(&said).ok()?;
        let is_problem = |finding: &Value| finding["level"] == "problem";
        (!findings.iter().any(is_problem)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_started_again() {
    let world = World::start(&[]).await;
    let nats = world.service("nats.conf").expect("nats-server runs");
    signal(nats, Signal::STOP);
    let account = world.sign_up("ada@example.com");
    let code = eventually("the mail", HEALED, async || {
        Some(world.mails_to("ada@example.com").first()?.1.clone())
    })
    .await;
    world.json(&["account", "confirm", &account, &code]);
    assert_ne!(world.service("nats.conf"), Some(nats));
}
