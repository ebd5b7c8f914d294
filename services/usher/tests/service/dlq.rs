//! `usher dlq`: events that no handler could use, in an operator's hands.

use kit::{
    bus::Bus,
    testing::{SOON, eventually},
};
use serde_json::Value;

use crate::world::World;

const ADDRESS: &str = "canary.zq7xw@example.com";
const ACCOUNT: &str = "018f5c1e-7b9a-7cc0-8f0e-3c2a9d6b4e11";

/// Publishes what no handler understands, with an address in it.
async fn publish(world: &World, subject: &'static str, number: usize) {
    let bus = Bus::connect(&world.broker(), "test").await.unwrap();
    for _ in 0..number {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-type", "usher.accounts.v9.AccountCreated");
        headers.insert("ce-subject", ACCOUNT);
        let sent = bus
            .jetstream()
            .publish_with_headers(subject, headers, ADDRESS.into());
        sent.await.unwrap().await.unwrap();
    }
}

fn letters(world: &World, filters: &[&str]) -> Vec<Value> {
    let listed = world.json(&[&["dlq", "list"], filters].concat());
    listed.as_array().unwrap().clone()
}

async fn until_there_are(world: &World, number: usize) -> Vec<Value> {
    eventually("the dead letters", SOON, async || {
        Some(letters(world, &[])).filter(|letters| letters.len() == number)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_dead_letters_are_listed_and_changed_without_what_is_in_them_and_shown_with_it() {
    let world = World::start(&[]).await;
    assert_eq!(letters(&world, &[]), Vec::<Value>::new());
    publish(&world, "accounts.v1.account_created", 3).await;
    publish(&world, "verification.v1.account_verified", 2).await;
    let all = until_there_are(&world, 5).await;
    let id = all[4]["id"].as_str().unwrap();

    let by_verification = letters(&world, &["--service", "verification"]);
    assert_eq!(by_verification.len(), 3);
    let filters = ["--account", ACCOUNT, "--reason", "unknown_type"];
    assert_eq!(letters(&world, &filters).len(), 5);
    assert_eq!(letters(&world, &["--older-than", "1h"]).len(), 0);
    assert_eq!(letters(&world, &["--newer-than", "1h"]).len(), 5);

    let shown = world.json(&["dlq", "show", id]);
    assert_eq!(shown["payload_text"], ADDRESS);
    assert_eq!(shown["headers"]["ce-subject"], ACCOUNT);
    assert_eq!(world.refusal(&["dlq", "show", ACCOUNT]).0, 3);

    let (code, _) = world.refusal(&["dlq", "drop"]);
    assert_eq!(code, 2, "nothing was said to be meant");
    let plan = world.json(&["dlq", "drop", "--reason", "unknown_type", "--dry-run"]);
    assert_eq!((&plan["planned"], &plan["dropped"]), (&5.into(), &0.into()));

    // Nothing has changed: they are rejected again, and the command says so.
    let replayed = world.command(&["dlq", "replay", "--all"]);
    assert_eq!(replayed.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let lines = report["letters"].as_array().unwrap();
    let rejected =
        |line: &&Value| line["outcome"] == "REJECTED" && line["reason"] == "unknown_type";
    assert_eq!(lines.iter().filter(rejected).count(), 5);
    let told = String::from_utf8_lossy(&replayed.stderr).into_owned();
    let plan = "Plan: replay 5 dead letters.\n       2  accounts      unknown_type\n       3  verification  unknown_type\n";
    assert!(told.starts_with(plan), "{told}");

    let findings = world.command(&["doctor"]).stdout;
    let findings: Value = serde_json::from_slice(&findings).unwrap();
    let mut findings = findings.as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["part"] == "dead letters");
    assert_eq!(finding.unwrap()["level"], "warning");

    let dropped = world.json(&["dlq", "drop", id]);
    assert_eq!(dropped["dropped"], 1);
    let dropped = world.json(&["dlq", "drop", "--service", "accounts"]);
    let dropped = dropped["dropped"].as_u64().unwrap();
    assert_eq!(
        letters(&world, &[]).len(),
        4 - usize::try_from(dropped).unwrap()
    );

    for (what, text) in [
        ("list", Value::from(all).to_string()),
        ("terminal", world.said()),
    ] {
        assert!(!text.contains("canary"), "{what}: {text}");
    }
    for log in std::fs::read_dir(world.data().join("logs")).unwrap() {
        let log = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!log.contains("canary"), "{log}");
    }
}
