//! `usher keys …`: a rotation while `usher up` runs, and what is refused on the way.

use std::{fs, os::unix::fs::PermissionsExt as _};

use kit::testing::{SOON, eventually};
use serde_json::{Value, json};

use crate::world::{World, refusal, usher};

/// Ids and marks of the ring's lines, without the secrets.
fn ring(world: &World) -> Vec<String> {
    let file = world.data().join("code-keys");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(file).unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut parts: Vec<&str> = line.split(':').collect();
        assert_eq!(parts.remove(1).len(), 64, "a key has its secret");
        lines.push(parts.join(":"));
    }
    lines
}

/// Tries a command until it is not refused: replicas read the file every few seconds.
async fn until_done(world: &World, command: &[&str]) -> Value {
    eventually("the command to be done", SOON, async || {
        let output = world.command(command);
        let is_done = output.status.success();
        is_done.then(|| serde_json::from_slice(&output.stdout).unwrap())
    })
    .await
}

#[tokio::test]
async fn i06_a_key_is_generated_activated_and_retired_while_people_sign_up_and_confirm() {
    let world = World::start(&[]).await;
    let old = ring(&world).swap_remove(0);
    let account = world.sign_up("ada@example.com");
    let code = world.code_for("ada@example.com").await;

    let new = world.json(&["keys", "generate"])["key_id"].clone();
    let new = new.as_str().unwrap();
    assert_eq!(ring(&world), [old.clone(), format!("{new}:new")]);
    let (exit, error) = world.refusal(&["keys", "retire", &old]);
    assert_eq!(exit, 4, "{error}");
    assert_eq!(
        error["message"],
        format!("{old} is the key in use; codes are made from it.")
    );

    // Nothing listens there.
    let nobody = ["keys", "activate", "--replica", "http://127.0.0.1:1"];
    let (exit, error) = world.refusal(&nobody);
    assert_eq!(
        (exit, ring(&world)[0].as_str()),
        (5, old.as_str()),
        "{error}"
    );
    let activated = until_done(&world, &["keys", "activate"]).await;
    assert_eq!(
        (&activated["key_id"], &activated["before"]),
        (&json!(new), &json!(old))
    );
    assert_eq!(ring(&world), [new.to_owned(), old.clone()]);

    // A moment ago it was in use, and then Ada's code names it.
    let (exit, error) = world.refusal(&["keys", "retire", &old]);
    assert_eq!(exit, 4, "{error}");
    let named = format!("Nothing was changed: 1 live codes and 0 pending mails still name {old}.");
    eventually("the old key to be out of use", SOON, async || {
        let (_, error) = world.refusal(&["keys", "retire", &old]);
        (error["message"] == named).then_some(())
    })
    .await;
    let uses = world.json(&["keys", "list"]);
    let word = |key: usize, what: &str| uses[key][what].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (word(0, "key_id"), word(0, "file")),
        (new.to_owned(), "in use".to_owned())
    );
    assert_eq!(
        (word(1, "key_id"), word(1, "verification")),
        (old.clone(), "old".to_owned())
    );
    assert_eq!(
        (&uses[1]["live_codes"], &uses[1]["pending_mails"]),
        (&json!(1), &json!(0))
    );

    world.json(&["account", "confirm", &account, &code]);
    until_done(&world, &["keys", "retire", &old]).await;
    assert_eq!(ring(&world), [new.to_owned(), format!("{old}:retired")]);
    let account = world.sign_up("grace@example.com");
    let code = world.code_for("grace@example.com").await;
    world.json(&["account", "confirm", &account, &code]);
    let gone = ["keys", "activate", &old];
    assert_eq!(world.refusal(&gone).0, 4);
}

#[tokio::test]
async fn a_key_that_a_replica_does_not_know_is_not_activated_and_one_that_nobody_knows_not_retired()
{
    let world = World::start(&[]).await;
    let copy = world.data().join("copy");
    fs::copy(world.data().join("code-keys"), &copy).unwrap();
    let before = ring(&world);
    let copy = copy.to_str().unwrap();
    let new = world.json(&["keys", "generate", "--file", copy])["key_id"].clone();
    let (exit, error) = world.refusal(&["keys", "activate", "--file", copy]);
    assert_eq!(exit, 4, "{error}");
    let message = error["message"].as_str().unwrap();
    let lacks = format!("does not know the key {}.", new.as_str().unwrap());
    assert!(message.ends_with(&lacks), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(copy) && hint.contains("--force"), "{hint}");
    let forced = world.json(&["keys", "activate", "--file", copy, "--force"]);
    assert_eq!(forced["key_id"], new);

    assert_eq!(world.refusal(&["keys", "retire", "k0"]).0, 3);
    assert_eq!(ring(&world), before);
}

#[test]
fn a_first_key_is_in_use_at_once_and_a_ring_that_cannot_be_used_is_refused_with_what_mends_it() {
    let folder = kit::testing::folder();
    let file = folder.path().join("keys/code-keys");
    let keys = |arguments: &[&str]| {
        let mut command = usher();
        command
            .arg("keys")
            .args(arguments)
            .args(["--output", "json", "--file"]);
        command.arg(&file).output().unwrap()
    };
    let generate = || {
        let made = keys(&["generate"]);
        serde_json::from_slice::<Value>(&made.stdout).unwrap()
    };
    let (first, second) = (generate(), generate());
    assert_eq!(
        (&first["in_use"], &second["in_use"]),
        (&json!(true), &json!(false))
    );
    let text = fs::read_to_string(&file).unwrap();
    let ids: Vec<&str> = text
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            first["key_id"].as_str().unwrap(),
            second["key_id"].as_str().unwrap()
        ]
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let secret = "0f".repeat(32);
    let shown = file.display();
    for (text, what, mend) in [
        (
            format!("k1:{secret}\nk2:{secret}{secret}\n"),
            "line 2: expected 64 hexadecimal digits after the colon, or `retired`",
            format!("delete it: sed -i 2d {shown}"),
        ),
        (
            format!("k1:{secret}\nk1:{secret}\n"),
            "line 2: a second key named k1",
            format!("delete this one: sed -i 2d {shown}"),
        ),
        (
            format!("# rotated\nk1:{secret}:retired\n"),
            "it has no key to be used",
            format!("Run: usher keys generate --file {shown}"),
        ),
    ] {
        fs::write(&file, text).unwrap();
        let (_, error) = refusal(&keys(&["activate"]));
        assert_eq!(error["message"], format!("{shown}: {what}."));
        assert!(error["hint"].as_str().unwrap().ends_with(&mend), "{error}");
        assert!(!error.to_string().contains(&secret));
    }
    // The advice works.
    assert_eq!(generate()["in_use"], true);
}
