//! Another user of the machine, beside a running `usher up`.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use kit::{
    clock::Clock,
    testing::{event_headers, is_root, skip},
};
use prost::Message as _;
use proto::{events::Event as _, verification::AccountVerified};

use crate::{folder::ground::as_nobody, world::World};

/// An event that accounts would believe, in the broker's own protocol and without a login.
fn forged(account: &str) -> Vec<u8> {
    let clock = Clock::default();
    let event = AccountVerified {
        account_id: account.to_owned(),
        verified_at: Some(clock.now().into()),
    };
    let id = clock.uuid_v7().to_string();
    let mut headers = String::from("NATS/1.0\r\n");
    for (name, values) in event_headers::<AccountVerified>(&id, account).iter() {
        for value in values {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    headers.push_str("\r\n");
    let payload = event.encode_to_vec();
    let (subject, size) = (AccountVerified::SUBJECT, headers.len());
    let all = size + payload.len();
    let mut message = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    message.extend(format!("HPUB {subject} {size} {all}\r\n{headers}").as_bytes());
    message.extend(payload);
    message.extend(b"\r\nPING\r\n");
    message
}

/// Says it to the broker, as `nobody` where root runs the tests, and answers with what that says.
fn tell_the_broker(port: &str, message: &[u8]) -> String {
    let mut command = match is_root() {
        true => as_nobody("bash"),
        false => {
            skip(
                false,
                " as another user, because only root can play one; as this user it goes on",
            );
            Command::new("bash")
        }
    };
    let talk = "exec 3<>/dev/tcp/127.0.0.1/$0; cat >&3; \
                while read -r line <&3; do echo \"$line\"; case $line in PONG*) break;; esac; done";
    let mut child = command
        .args(["-c", talk, port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A server that has had enough of us closes the connection, and with it the pipe.
    let _ = child.stdin.take().unwrap().write_all(message);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn status(world: &World, account: &str) -> String {
    let shown = world.json(&["account", "show", account]);
    shown["account"]["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn another_user_cannot_make_an_account_verified_through_the_local_broker() {
    let world = World::start(&[]).await;
    let run = world.run_file();
    let (_, port) = run["nats_url"].as_str().unwrap().rsplit_once(':').unwrap();
    let forgotten = world.sign_up("grace@example.com");
    let said = tell_the_broker(port, &forged(&forgotten));
    assert!(said.contains("-ERR 'Authorization Violation'"), "{said}");

    // The stream has one order: whatever was published before a right code has arrived before it.
    let account = world.sign_up("ada@example.com");
    let code = world.code_for("ada@example.com").await;
    world.json(&["account", "confirm", &account, &code]);
    world.command(&["account", "watch", &account]);
    assert_eq!(status(&world, &account), "VERIFIED");
    assert_eq!(status(&world, &forgotten), "PENDING");
}

#[tokio::test]
async fn the_brokers_credential_stands_in_a_file_only_and_commands_find_it_through_the_folder() {
    let world = World::start(&[]).await;
    let key = std::fs::read_to_string(world.data().join("nats-key")).unwrap();
    let seed = key.trim();
    assert!(seed.starts_with("SU"), "the seed of a user's nkey");
    for pid in world.children().into_iter().chain([world.pid()]) {
        for place in ["cmdline", "environ"] {
            let Ok(octets) = std::fs::read(format!("/proc/{pid}/{place}")) else {
                continue;
            };
            let text = String::from_utf8_lossy(&octets);
            assert!(!text.contains(seed), "{place} of {pid}");
        }
    }
    for file in ["nats.conf", "run.json"] {
        let text = std::fs::read_to_string(world.data().join(file)).unwrap();
        assert!(!text.contains(seed), "{file}");
    }
    assert!(!world.said().contains(seed), "{}", world.said());
    assert_eq!(
        world.json(&["nats", "status"])["drift"],
        serde_json::json!([])
    );
    world.json(&["dlq", "list"]);
    let doctor = world.command(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success(), "{said}");
    // Named without it, as by whoever has the port alone.
    let url = world.run_file()["nats_url"].as_str().unwrap().to_owned();
    let (code, error) = world.refusal(&["nats", "status", "--nats-url", &url]);
    assert_eq!(code, 4, "{error}");
}
