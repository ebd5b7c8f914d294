//! Who sends a mail: handed over in memory, claimed from the table, kept by renewal, offered to
//! another.

use kit::testing::{SOON, eventually};
use proto::verification::MailState;

use crate::{
    mailer::{Mailer, Says},
    world::World,
};

#[tokio::test]
async fn a_mail_goes_from_the_commit_to_the_mailer_without_a_look_at_the_table() {
    let world = World::new().await;
    let service = world.start_with(&[("USHER_DELIVERY_TICK", "1h")]).await;
    let client = service.client();
    let first = world.sign_up("ada@example.org").await;
    client.until_mail(&first, 1, MailState::Accepted).await; // the stream is open now
    for n in 0..10 {
        let account_id = world.sign_up(&format!("grace{n}@example.org")).await;
        client.until_mail(&account_id, 1, MailState::Accepted).await;
    }
    assert_eq!(
        world.count("codes WHERE claim_no <> 1").await,
        0,
        "born claimed, and never claimed again"
    );
}

#[tokio::test]
async fn what_has_no_room_in_memory_is_claimed_from_the_table_and_sent_once() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start_with(&[("USHER_DELIVERY_QUEUE", "2")]).await;
    let client = service.client();
    let mut accounts = Vec::new();
    for n in 0..40 {
        accounts.push(world.sign_up(&format!("ada{n}@example.org")).await);
    }
    for account_id in &accounts {
        client.until_mail(account_id, 1, MailState::Pending).await;
    }
    let full = |mailer: &Mailer| mailer.mails().len() == 2;
    world.mailer.until("the mails that have room", full).await;
    assert_eq!(
        world.count("codes WHERE claimed_until > 0").await,
        2,
        "what is claimed and not in memory would wait for its lease"
    );
    world.mailer.answers(|_| Says::accepted());
    for mail in world.mailer.mails() {
        world.mailer.accept(&mail);
    }
    for account_id in &accounts {
        client.until_mail(account_id, 1, MailState::Accepted).await;
    }
    assert_eq!(world.mailer.mails().len(), 40);
}

#[tokio::test]
async fn a_mail_under_way_stays_claimed_for_longer_than_its_lease() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start_with(&[("USHER_DELIVERY_LEASE", "3s")]).await;
    let account_id = world.sign_up("ada@example.org").await;
    let mail = world.mailer.mail(&account_id, 1).await;
    let lease = async || world.number("SELECT claimed_until FROM codes").await;
    let first = lease().await;
    let renewed = async || (lease().await > first + 6_000_000).then_some(()); // microseconds: two leases
    eventually("the claim to be renewed again and again", SOON, renewed).await;
    world.mailer.accept(&mail);
    let code = service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    assert_eq!((code.mail_attempts, world.mailer.mails().len()), (1, 1));
    assert_eq!(world.count("codes WHERE claim_no = 1").await, 1);
}

#[tokio::test]
async fn with_two_mailers_the_other_one_takes_what_the_dead_one_left() {
    let world = World::new().await;
    let (mut one, two) = (Mailer::start(), Mailer::start());
    one.answers(|_| Says::Nothing);
    two.answers(|_| Says::Nothing);
    let both = format!("{}, {}", one.url(), two.url());
    // Neither tick nor lease helps: only the broken stream says that the mail is to be offered
    // again.
    let more = [
        ("USHER_MAILER_URL", both.as_str()),
        ("USHER_DELIVERY_LEASE", "1h"),
        ("USHER_DELIVERY_TICK", "1h"),
    ];
    let service = world.start_with(&more).await;
    for mailer in [&one, &two] {
        mailer
            .until("its stream", |mailer| mailer.opened() == 1)
            .await;
    }
    let mut accounts = Vec::new();
    for n in 0..8 {
        accounts.push(world.sign_up(&format!("ada{n}@example.org")).await);
    }
    let shared = async || (one.mails().len() + two.mails().len() == 8).then_some(());
    eventually("eight mails", SOON, shared).await;
    let (left, right) = (one.mails().len(), two.mails().len());
    assert!(
        left > 0 && right > 0,
        "the mailers share: {left} and {right}"
    );
    two.answers(|_| Says::accepted());
    for mail in two.mails() {
        two.accept(&mail);
    }
    one.stop();
    for account_id in &accounts {
        service
            .client()
            .until_mail(account_id, 1, MailState::Accepted)
            .await;
    }
    assert_eq!(two.mails().len(), 8);
}
