//! The real process: killed, stopped, and what it says.

use std::{collections::HashMap, fs::Permissions, os::unix::fs::PermissionsExt as _};

use proto::verification::{ConfirmOutcome, MailState};

use crate::{client::wrong, mailer::Mailer, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i03_i08_after_kill_nine_at_any_moment_each_account_has_one_code_and_its_one_mail_key() {
    let world = World::new().await;
    let mut accounts = Vec::new();
    for round in 0..5 {
        let process = world.process(&[]).await;
        let before = world.mailer.mails().len();
        for n in 0..40 {
            accounts.push(world.sign_up(&format!("ada{round}.{n}@example.org")).await);
        }
        let some = |mailer: &Mailer| mailer.mails().len() > before + round * 3;
        world.mailer.until("some mails", some).await;
        process.kill().await;
    }
    let last = world.process(&[]).await;
    let client = last.client();
    for account_id in &accounts {
        client.until_mail(account_id, 1, MailState::Accepted).await;
    }
    assert_eq!(
        world.count("codes").await,
        i64::try_from(accounts.len()).unwrap()
    );
    let mut keys: HashMap<String, Vec<String>> = HashMap::new();
    for mail in world.mailer.mails() {
        keys.entry(mail.account_id)
            .or_default()
            .push(format!("{} {}", mail.code_id, mail.digits));
    }
    for account_id in &accounts {
        let mut keys = keys.remove(account_id).unwrap();
        keys.dedup(); // the mailer's ledger knows a repeated key
        assert_eq!(keys.len(), 1, "i06: one code, the same digits each time");
        let digits = keys[0].split(' ').next_back().unwrap();
        assert_eq!(client.outcome(account_id, digits).await, ConfirmOutcome::Ok);
    }
    assert!(keys.is_empty(), "i04: no mail without an account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i16_neither_log_nor_database_holds_digits_and_no_log_line_an_address_or_a_key() {
    let world = World::new().await;
    let process = world.process(&[("RUST_LOG", "trace")]).await;
    let client = process.client();
    let (account_id, digits) = world
        .sign_up_and_read(&client, "canary.address@example.org")
        .await;
    client.outcome(&account_id, &wrong(&digits)).await;
    client.try_confirm(&account_id, "123").await.unwrap_err();
    client
        .resend_by_email("canary.address@example.org")
        .await
        .unwrap();
    client
        .resend_by_email("canary.stranger@example.org")
        .await
        .unwrap();
    client.until_mail(&account_id, 2, MailState::Accepted).await;
    let second = world.mailer.mail(&account_id, 2).await.digits;
    assert_eq!(
        client.outcome(&account_id, &second).await,
        ConfirmOutcome::Ok
    );
    let said = process.terminate().await;
    assert!(said.contains(&account_id), "the log was captured");

    let ring = std::fs::read_to_string(world.file("code-keys")).unwrap();
    let secret = ring.trim().split_once(':').unwrap().1.to_owned();
    for canary in [
        &digits,
        &second,
        &secret,
        &"canary.address".to_owned(),
        &"canary.stranger".to_owned(),
    ] {
        assert!(!said.contains(canary.as_str()), "the log says {canary:?}");
    }
    for file in ["database.sqlite", "database.sqlite-wal"] {
        let bytes = std::fs::read(world.file(file)).unwrap_or_default();
        for canary in [&digits, &second, &secret, &"canary.stranger".to_owned()] {
            let found = bytes
                .windows(canary.len())
                .any(|window| window == canary.as_bytes());
            assert!(!found, "{file} holds {canary:?}");
        }
    }
}

#[tokio::test]
async fn the_key_ring_is_made_once_with_mode_0600_and_refused_when_others_may_read_it() {
    let world = World::new().await;
    let said = world.process(&[]).await.terminate().await;
    let keys = world.file("code-keys");
    assert!(
        said.contains("The code key ring was made") && said.contains(&keys.display().to_string()),
        "{said}"
    );
    let mode = || std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let said = world.process(&[]).await.terminate().await;
    assert!(!said.contains("was made"), "{said}");

    std::fs::set_permissions(&keys, Permissions::from_mode(0o644)).unwrap();
    let (ended_well, said) = world.run(&[]).await;
    assert!(
        !ended_well && said.contains(&format!("chmod 600 {}", keys.display())),
        "{said}"
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_refused_by_its_name() {
    let world = World::new().await;
    for (key, value) in [
        ("USHER_CODE_DIGITS", "5"),
        ("USHER_CODE_LIFETIME", "soon"),
        ("USHER_DELIVERY_QUEUE", "0"),
    ] {
        let (ended_well, said) = world.run(&[(key, value)]).await;
        assert!(
            !ended_well && said.contains(key) && said.contains(value),
            "{said}"
        );
    }
}
