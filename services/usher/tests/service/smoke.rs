//! `usher cluster smoke`: one person signs up, and everything that she would notice is looked at.

use std::process::{Command, Output};

use kit::testing::{Proxy, SOON, eventually};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::{
    http::{JaegerStandIn, Web},
    mailbox::ground::Mailbox,
    world::{World, refusal, usher},
};

/// As in a pod: all that it knows are URLs.
fn smoke(world: &World, more: &[&str]) -> Command {
    let mut command = smoke_by(world, &url(world, "accounts"));
    command.args(more);
    command
}

fn smoke_by(world: &World, accounts: &str) -> Command {
    let mut command = usher();
    command.args(["cluster", "smoke", "--data", "/nowhere"]);
    command.args(["--accounts-url", accounts]);
    command.args(["--verification-url", &url(world, "verification")]);
    command.args(["--mailer-url", &url(world, "mailer")]);
    command
}

fn url(world: &World, service: &str) -> String {
    let run = world.run_file();
    run[service]["url"].as_str().expect("it listens").to_owned()
}

async fn run(mut command: Command) -> Output {
    let output = spawn_blocking(move || command.output().expect("usher can be run"));
    output.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_sees_mail_account_and_trace_of_a_system_that_works() {
    let jaeger = JaegerStandIn::start(|_| false).await;
    let folder = kit::testing::folder();
    let mailbox = Mailbox::start(folder.path(), &[]).await;
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*jaeger.endpoint),
        ("USHER_MAIL_URL", &format!("smtp://{}", mailbox.smtp)),
    ];
    let world = World::start(&environment).await;
    let (mails, traces) = (format!("http://{}", mailbox.http), jaeger.web.url());
    let urls = [
        "--mailbox-url",
        &mails,
        "--jaeger-url",
        &traces,
        "--domain",
        "smoke.example",
    ];

    let output = run(smoke(&world, &urls)).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "signed up  PENDING",
        "the mail is in the mailbox",
        "its code was taken",
        "the account is VERIFIED",
        "the trace is whole",
        "Everything works.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("@smoke.example"), "no address: {said}");

    let output = run(smoke(&world, &[&urls[..], &["--output", "json"]].concat())).await;
    let seen: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    let account = world.json(&["account", "show", seen["account_id"].as_str().unwrap()]);
    assert_eq!(account["account"]["status"], "VERIFIED");
    let email = account["account"]["email"].as_str().unwrap();
    assert!(
        email.starts_with("smoke-") && email.ends_with("@smoke.example"),
        "{email}"
    );
    let page = format!("{traces}/trace/{}", seen["trace_id"].as_str().unwrap());
    assert_eq!(seen["page"], page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_a_network_that_is_not_there_yet() {
    let world = World::start(&[]).await;
    let accounts = url(&world, "accounts");
    let proxy = Proxy::before(&accounts, 1).await;
    proxy.cut();
    let run = tokio::spawn(run(smoke_by(&world, &proxy.url(&accounts))));
    let again = async || (proxy.connections() > 1).then_some(());
    eventually("it to try again", SOON, again).await;
    proxy.pass();
    let output = run.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mailbox_it_is_content_when_the_mail_server_has_the_mail() {
    let world = World::start(&[]).await;
    let output = run(smoke(&world, &["--output", "json"])).await;
    let seen: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    assert!(
        seen["mail_ms"].is_number() && seen["verified_ms"].is_null(),
        "{seen}"
    );
    let account = world.json(&["account", "show", seen["account_id"].as_str().unwrap()]);
    assert_eq!(
        account["verification"]["codes"][0]["mail_state"],
        "ACCEPTED"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_with_what_to_do() {
    // What a mailer whose spans go elsewhere leaves of a trace.
    let jaeger = JaegerStandIn::start(|name| name == "deliver").await;
    let world = World::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &jaeger.endpoint)]).await;
    let refused = async |more: &[&str]| {
        let more = [more, &["--output", "json"]].concat();
        let (code, error) = refusal(&run(smoke(&world, &more)).await);
        let hint = error["hint"].as_str().unwrap_or_default();
        (
            code,
            format!("{} {hint}", error["message"].as_str().unwrap()),
        )
    };
    let traces = jaeger.web.url();
    let (code, told) = refused(&["--jaeger-url", &traces, "--wait", "4s"]).await;
    assert_eq!(code, 1, "{told}");
    let missing = "verification: deliver; mailer: deliver; mailer: smtp send";
    assert!(told.contains(missing), "{told}");
    assert!(told.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{told}");

    // Nobody sends anything there.
    let folder = kit::testing::folder();
    let empty = Mailbox::start(folder.path(), &[]).await;
    let url = format!("http://{}", empty.http);
    let (code, told) = refused(&["--mailbox-url", &url, "--wait", "2s"]).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with("The mail did not arrive."), "{told}");
    let took = "The mail server took the mail: does USHER_MAIL_URL of the mailer name the mailbox";
    assert!(told.contains(took), "{told}");

    let other = Web::start(|_| (404, b"<html>".to_vec())).await;
    let url = other.url();
    let (code, told) = refused(&["--mailbox-url", &url]).await;
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("is no mailbox"), "{told}");
}
