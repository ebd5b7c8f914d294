//! What `doctor` makes of one fault that many parts feel, of mails that got through after all, and
//! of clocks.

use std::{process::Output, time::Duration};

use kit::testing::{Phase, SOON, eventually};
use serde_json::Value;

use super::ground::{Ground, Under};

/// I20.
const KNOWN: Duration = Duration::from_secs(30);

fn findings(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The sentence with which it ends; empty where it found nothing to be done.
fn end(output: &Output) -> String {
    let error: Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
    error["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Of one part: level and words.
fn of(part: &str, findings: &[Value]) -> Vec<(String, String)> {
    let ours = findings.iter().filter(|finding| finding["part"] == part);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|finding| (text(&finding["level"]), text(&finding["what"])))
        .collect()
}

#[tokio::test]
async fn one_fault_that_several_parts_feel_is_counted_once() {
    let mut ground = Ground::start(&Under::default()).await.unwrap();
    ground.nats.stop();
    let output = eventually("all three to tell of the broker", KNOWN, async || {
        let output = ground.usher(&["doctor"]).await;
        let found = findings(&output);
        let feels = |part| {
            let ours = of(part, &found);
            ours.iter().any(|(level, _)| level == "problem")
        };
        ["accounts", "verification", "nats-server"]
            .into_iter()
            .all(feels)
            .then_some(output)
    })
    .await;
    assert_eq!(end(&output), "One thing needs a hand.");

    let mut ground = Ground::start(&Under::default()).await.unwrap();
    ground.to_mailer.cut();
    ground.mailer.take().unwrap().stop().await;
    let output = eventually("doctor to tell of the mailer", KNOWN, async || {
        let output = ground.usher(&["doctor"]).await;
        let felt = of("verification", &findings(&output));
        let says = |(_, what): &(String, String)| what.contains("takes no mails");
        felt.iter().any(says).then_some(output)
    })
    .await;
    assert_eq!(end(&output), "One thing needs a hand.");
    let token = of("admin token", &findings(&output));
    let is_blamed = token.iter().any(|(level, _)| level != "ok");
    assert!(!is_blamed, "the token is in order: {token:?}");
}

#[tokio::test]
async fn each_problem_says_since_when_and_what_it_means_for_people_who_sign_up() {
    let mut ground = Ground::start(&Under::default()).await.unwrap();
    ground.nats.stop();
    let found = eventually("doctor to tell of the broker", KNOWN, async || {
        let found = findings(&ground.usher(&["doctor"]).await);
        let felt = of("accounts", &found);
        felt.iter()
            .any(|(level, _)| level == "problem")
            .then_some(found)
    })
    .await;
    let problem = |found: &[Value]| {
        let is_ours =
            |finding: &&Value| finding["part"] == "accounts" && finding["level"] == "problem";
        found.iter().find(is_ours).unwrap().clone()
    };
    let told = problem(&found);
    let what = told["what"].as_str().unwrap();
    assert!(what.starts_with("the broker"), "{told}");
    let since = told["since"].as_str().unwrap_or_default();
    assert!(since.starts_with("20") && since.ends_with('Z'), "{told}");
    let means = told["means"].as_str().unwrap_or_default();
    assert!(
        means.contains("sign up") && means.contains("mail"),
        "{told}"
    );
    let again = findings(&ground.usher(&["doctor"]).await);
    assert_eq!(problem(&again)["since"], told["since"], "it is the same");
}

#[tokio::test]
async fn mails_that_wait_are_counted_and_not_attempts_that_were_made_good() {
    let ground = Ground::start(&Under::default()).await.unwrap();
    let later = ground.smtp.on(Phase::Rcpt);
    later.answer(451, "4.7.1 greylisted, come back");
    ground.sign_up(1).await;
    ground.sign_up(2).await;
    let waiting = eventually("doctor to tell of those that wait", SOON, async || {
        let found = findings(&ground.usher(&["doctor"]).await);
        let mails = of("mails", &found);
        mails
            .into_iter()
            .find(|(level, what)| level == "warning" && what.starts_with("2 mails wait"))
    })
    .await;
    assert!(waiting.1.contains("greylisted"), "{waiting:?}");
    ground.smtp.behave();
    // Some 30 s, where the second attempt came before that.
    ground.smtp.wait_for(2, SOON * 2).await;
    eventually("doctor to find nothing of mails", SOON, async || {
        let output = ground.usher(&["doctor"]).await;
        let mails = of("mails", &findings(&output));
        let all_is_well = mails.iter().all(|(level, _)| level == "ok");
        (all_is_well && output.status.success()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn doctor_exits_with_1_when_every_attempt_was_refused() {
    let ground = Ground::start(&Under::default()).await.unwrap();
    let refused = ground.smtp.on(Phase::Rcpt);
    refused.answer(550, "5.1.1 no such user here");
    for number in 0..5 {
        ground.sign_up(number).await;
    }
    eventually("doctor to tell of it", SOON, async || {
        let output = ground.usher(&["doctor"]).await;
        let mails = of("mails", &findings(&output));
        let (_, what) = mails.iter().find(|(level, _)| level == "problem")?;
        assert!(what.contains("no such user here"), "{what}");
        (output.status.code() == Some(1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_clock_check_is_right_again_when_the_clock_is() {
    let ground = Ground::start(&Under::default()).await.unwrap();
    let apart = async || {
        let found = findings(&ground.usher(&["doctor"]).await);
        let ours = of("accounts", &found);
        ours.into_iter().any(|(_, what)| what.contains("clock"))
    };
    assert!(!apart().await);
    let hour = Duration::from_secs(3600);
    ground.worlds[2].clock.be_fast(hour);
    assert!(apart().await, "an hour is noticed");
    ground.worlds[2].clock.be_fast(Duration::ZERO);
    assert!(!apart().await, "and so is its end, at once");
}
