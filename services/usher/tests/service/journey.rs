//! The journey of an account, by the commands that a person types.

use std::process::Stdio;

use kit::testing::{SOON, eventually};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};

use crate::world::{World, usher};

#[tokio::test]
async fn a_person_signs_up_gets_a_mail_and_confirms_its_code() {
    let world = World::start(&[]).await;
    let account = world.sign_up("ada@example.com");
    let code = world.code_for("ada@example.com").await;
    world.until_accepted(&account).await;
    assert_eq!(
        world.json(&["account", "confirm", &account, &code])["outcome"],
        "OK"
    );
    let watched = world.command(&["account", "watch", &account]);
    assert!(watched.status.success());
    let versions = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert!(
        versions
            .lines()
            .any(|version| version.contains("\"status\":\"VERIFIED\"")),
        "{versions}"
    );
    let shown = world.json(&["account", "show", &account]);
    assert_eq!(shown["account"]["status"], "VERIFIED");
    assert_eq!(shown["verification"]["codes"][0]["state"], "USED");
    assert_eq!(shown["verification"]["codes"][0]["mail_state"], "ACCEPTED");
    assert_eq!(
        world.json(&["account", "confirm", &account, &code])["outcome"],
        "ALREADY_VERIFIED"
    );

    let mails = world.json(&["mail", "list"]);
    assert_eq!(mails.as_array().map(Vec::len), Some(1), "{mails}");
    assert_eq!(mails[0]["outcome"], "ACCEPTED");
    let key = mails[0]["code_id"].as_str().expect("a mail has a key");
    assert_eq!(
        world.json(&["mail", "show", key])[0]["account_id"],
        account.as_str()
    );
    let listed = world.json(&["account", "list", "--limit", "1"]);
    assert_eq!(listed[0]["account_id"], account.as_str());

    let findings = world.json(&["doctor"]);
    let findings = findings.as_array().expect("doctor lists findings");
    assert!(
        findings.iter().all(|finding| finding["level"] == "ok"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_watch_goes_on_when_its_connections_grow_old_and_when_a_service_dies() {
    let world = World::start(&[("USHER_CONNECTION_AGE", "200ms")]).await;
    let account = world.sign_up("ada@example.com");
    let mut watch = usher();
    watch
        .args(["account", "watch", &account, "--output", "json", "--data"])
        .arg(world.data())
        .stdout(Stdio::piped());
    let mut watching = tokio::process::Command::from(watch)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = watching.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(output).lines();
    let mut versions = vec![lines.next_line().await.unwrap().expect("a first version")];
    for service in ["accounts", "verification"] {
        world.kill(service).await;
        eventually("the service to be back", SOON, async || {
            let shown = world.command(&["account", "show", &account]);
            shown.status.success().then_some(())
        })
        .await;
    }
    let code = world.code_for("ada@example.com").await;
    world.json(&["account", "confirm", &account, &code]);
    while let Some(version) = timeout(SOON, lines.next_line()).await.unwrap().unwrap() {
        versions.push(version);
    }
    assert!(watching.wait().await.unwrap().success());
    let verified = versions.iter().filter(|line| line.contains("VERIFIED\""));
    assert_eq!(verified.count(), 1, "{versions:#?}");
    let all = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), all, "no version is shown twice");
}

#[tokio::test]
async fn refusals_say_what_to_change_and_have_their_exit_code() {
    let world = World::start(&[]).await;
    let (code, error) = world.refusal(&["account", "create", "no address"]);
    assert_eq!(
        (code, &error["fields"][0]["field"]),
        (4, &"email".into()),
        "{error}"
    );

    let account = world.sign_up("ada@example.com");
    let (code, error) = world.refusal(&["account", "create", "ADA@EXAMPLE.COM"]);
    assert_eq!(
        (code, &error["reason"]),
        (4, &"ADDRESS_TAKEN".into()),
        "{error}"
    );

    let hint = error["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("account resend ADDRESS"), "{error}");

    let right = world.code_for("ada@example.com").await;
    let wrong = if right.starts_with('0') {
        "1111 1111"
    } else {
        "0000 0000"
    };
    let (code, error) = world.refusal(&["account", "confirm", &account, wrong]);
    assert_eq!((code, &error["reason"]), (4, &"WRONG".into()), "{error}");
    let (code, error) = world.refusal(&["account", "confirm", &account, "12"]);
    assert_eq!(
        (code, &error["fields"][0]["field"]),
        (4, &"code".into()),
        "{error}"
    );

    world.json(&["account", "resend", &account]);
    let (code, error) = world.refusal(&["account", "resend", "ada@example.com"]);
    let wait = error["retry_after_seconds"].as_u64().unwrap_or_default();
    assert!(code == 4 && (1..=60).contains(&wait), "{error}");

    let unknown = "0193b5f2-8c1e-7d3a-9f04-2a6b1c7d8e9f";
    assert_eq!(world.refusal(&["account", "show", unknown]).0, 3);
    assert_eq!(world.refusal(&["mail", "show", unknown]).0, 3);
}

#[tokio::test]
async fn a_repeated_idempotency_key_gives_the_same_account() {
    let world = World::start(&[]).await;
    let create = [
        "account",
        "create",
        "ada@example.com",
        "--idempotency-key",
        "sixteen-characters",
    ];
    let (first, second) = (world.json(&create), world.json(&create));
    assert_eq!(
        first["account"]["account_id"],
        second["account"]["account_id"]
    );
    let (code, error) = world.refusal(&[
        "account",
        "create",
        "eve@example.com",
        "--idempotency-key",
        "sixteen-characters",
    ]);
    assert_eq!(
        (code, &error["reason"]),
        (4, &"IDEMPOTENCY_KEY_REUSED".into()),
        "{error}"
    );
}

#[tokio::test]
async fn the_mail_can_be_previewed_in_every_language() {
    let world = World::start(&[]).await;
    let subjects = ["en", "fr", "de"].map(|locale| {
        let preview = world.json(&["mail", "preview", "--locale", locale, "--name", "Ada"]);
        assert_eq!(preview["locale"], locale);
        assert!(
            preview["html"]
                .as_str()
                .is_some_and(|html| html.contains("<html")),
            "{preview}"
        );
        preview["subject"].to_string()
    });
    assert!(
        subjects[0] != subjects[1] && subjects[1] != subjects[2],
        "{subjects:?}"
    );
}
#[tokio::test]
async fn migrations_can_be_looked_at_but_not_made_while_the_services_run() {
    let world = World::start(&[]).await;
    let states = world.json(&["migrate", "status"]);
    let states = states.as_array().expect("a state for each service");
    assert_eq!(states.len(), 3);
    assert!(
        states
            .iter()
            .all(|state| state["pending"].as_array().is_some_and(Vec::is_empty)),
        "{states:?}"
    );
    let (code, error) = world.refusal(&["migrate"]);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(
        code == 5 && message.contains("is in use by process"),
        "{error}"
    );
}

#[tokio::test]
async fn whoever_reads_the_mail_of_a_taken_address_can_confirm_it_by_its_code() {
    let world = World::start(&[]).await;
    let strangers = world.sign_up("ada@example.com");
    world.code_for("ada@example.com").await;
    let (first, _) = world.mails_to("ada@example.com").swap_remove(0);
    let (_, error) = world.refusal(&["account", "create", "ada@example.com"]);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("ResendCode to the address"), "{message}");

    let asked = async || {
        // Until the first mail is known to have arrived, the same code would come again.
        world.command(&["account", "resend", "ada@example.com"]);
        let mut mails = world.mails_to("ada@example.com").into_iter();
        mails.find(|(id, _)| *id != first)
    };
    let (message_id, code) = eventually("the next code", SOON, asked).await;
    // The link in the mail ends with this, too.
    let (code_id, _) = message_id
        .split_once('@')
        .expect("a Message-ID has a domain");
    world.json(&["account", "confirm", "--link", code_id, &code]);
    let shown = world.json(&["account", "show", &strangers]);
    assert_eq!(shown["account"]["status"], "VERIFIED");
}
