//! kill −9 of each service while sign-ups are under way: each still ends with one valid code and
//! one accepted mail.

use kit::testing::{SOON, eventually};

use crate::world::World;

/// Sign-ups whose service is killed at once after each: the kills meet the journey at different
/// places.
const ROUNDS: usize = 4;

#[tokio::test]
async fn i07_accounts_killed_while_sign_ups_are_under_way() {
    killed("accounts").await;
}

#[tokio::test]
async fn i07_verification_killed_while_sign_ups_are_under_way() {
    killed("verification").await;
}

#[tokio::test]
async fn i07_mailer_killed_while_sign_ups_are_under_way() {
    killed("mailer").await;
}

async fn killed(service: &str) {
    let world = World::start(&[]).await;
    for round in 0..ROUNDS {
        let address = format!("round{round}@example.com");
        let account = eventually("accounts to take the sign-up", SOON, async || {
            let created = world.command(&["account", "create", &address]);
            let created: serde_json::Value = serde_json::from_slice(&created.stdout).ok()?;
            created["account"]["account_id"].as_str().map(str::to_owned)
        })
        .await;
        world.kill(service).await;
        let code = world.code_for(&address).await;
        settled(&world, &account).await;
        one_mail(&world, &address, service);
        let confirmed = eventually("verification to answer", SOON, async || {
            let answer = world.command(&["account", "confirm", &account, &code]);
            serde_json::from_slice::<serde_json::Value>(&answer.stdout).ok()
        })
        .await;
        assert_eq!(
            confirmed["outcome"], "OK",
            "the code in the mail is the valid one"
        );
    }
}

/// Verification knows of one code, live, whose mail was accepted.
async fn settled(world: &World, account: &str) {
    let codes = world.until_accepted(account).await;
    assert_eq!(codes.len(), 1, "{codes:?}");
    assert_eq!(codes[0]["state"], "LIVE", "{codes:?}");
}

/// I8: a second mail only where the mailer died between the mail and its commit, and then the same
/// one.
fn one_mail(world: &World, address: &str, killed: &str) {
    let mails = world.mails_to(address);
    let most = if killed == "mailer" { 2 } else { 1 };
    assert!((1..=most).contains(&mails.len()), "{mails:?}");
    assert!(mails.iter().all(|mail| *mail == mails[0]), "{mails:?}");
}
