//! Mailers that are found by a name: they come and go, leave in order and vanish.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use kit::testing::{Name, Proxy, SOON, eventually};
use proto::verification::MailState;

use crate::{
    client::Client,
    mailer::{Mailer, Says},
    world::{Service, World},
};

/// How long a mailer that has come may wait for its first mail.
const TAKEN_IN: Duration = Duration::from_secs(10);

/// Verification with the mailers behind a name. Neither tick nor lease helps a mail along.
async fn start(world: &World, name: &Name) -> Service {
    let more = [
        ("USHER_MAILER_URL", name.url()),
        ("USHER_DELIVERY_LEASE", "1h".to_owned()),
        ("USHER_DELIVERY_TICK", "1h".to_owned()),
    ];
    let more = more.each_ref().map(|(name, value)| (*name, value.as_str()));
    world.start_with(&more).await
}

async fn sign_up(world: &World, count: usize, who: &str) -> Vec<String> {
    let mut accounts = Vec::new();
    for number in 0..count {
        accounts.push(world.sign_up(&format!("{who}{number}@example.org")).await);
    }
    accounts
}

async fn all_accepted(client: &Client, accounts: &[String]) {
    for account_id in accounts {
        client.until_mail(account_id, 1, MailState::Accepted).await;
    }
}

async fn has_stream(mailer: &Mailer) {
    let opened = |mailer: &Mailer| mailer.opened() > 0;
    mailer.until("its stream", opened).await;
}

#[tokio::test]
async fn mailers_behind_a_name_get_their_share_from_when_they_come_to_when_they_leave() {
    let world = World::new().await;
    let [one, two, three] = [(); 3].map(|()| Mailer::start());
    let name = Name::new();
    name.leads_to([one.addr()]);
    let service = start(&world, &name).await;
    let client = service.client();
    let accounts = sign_up(&world, 10, "first").await;
    all_accepted(&client, &accounts).await;
    assert_eq!(one.mails().len(), 10);

    let all = [&one, &two, &three];
    let begun = Instant::now();
    name.leads_to(all.map(Mailer::addr));
    let mut number = 0;
    let each = async || {
        number += 1;
        let accounts = sign_up(&world, 1, &format!("new{number}x")).await;
        all_accepted(&client, &accounts).await;
        (!two.mails().is_empty() && !three.mails().is_empty()).then_some(())
    };
    eventually("each to get a mail", TAKEN_IN, each).await;
    assert!(begun.elapsed() < TAKEN_IN, "{:?}", begun.elapsed());
    // Many at once, and then one after the other.
    let before = all.map(|mailer| mailer.mails().len());
    let accounts = sign_up(&world, 90, "second").await;
    all_accepted(&client, &accounts).await;
    let got = [0, 1, 2].map(|one| all[one].mails().len() - before[one]);
    assert!(got.iter().all(|got| (26..=34).contains(got)), "{got:?}");
    let before = all.map(|mailer| mailer.mails().len());
    for number in 0..12 {
        let accounts = sign_up(&world, 1, &format!("next{number}x")).await;
        all_accepted(&client, &accounts).await;
    }
    let got = [0, 1, 2].map(|one| all[one].mails().len() - before[one]);
    assert_eq!(got, [4, 4, 4]);

    name.leads_to([&one, &two].map(Mailer::addr));
    three
        .until("its stream to end", |three| three.left() == 1)
        .await;
    let before = three.mails().len();
    let accounts = sign_up(&world, 20, "third").await;
    all_accepted(&client, &accounts).await;
    assert_eq!((three.mails().len(), three.opened()), (before, 1));
    let mails = [&one, &two, &three].map(Mailer::mails).concat();
    let codes: HashSet<_> = mails.iter().map(|mail| &mail.code_id).collect();
    assert_eq!(codes.len(), mails.len(), "each mail once");
}

#[tokio::test]
async fn a_mailer_that_leaves_its_name_answers_what_it_has_and_nobody_else_gets_it() {
    let world = World::new().await;
    let [one, two] = [(); 2].map(|()| Mailer::start());
    for mailer in [&one, &two] {
        mailer.answers(|_| Says::Nothing);
    }
    let name = Name::new();
    name.leads_to([&one, &two].map(Mailer::addr));
    let service = start(&world, &name).await;
    has_stream(&one).await;
    has_stream(&two).await;
    let accounts = sign_up(&world, 8, "ada").await;
    let given = async || (one.mails().len() + two.mails().len() == 8).then_some(());
    eventually("eight mails", SOON, given).await;
    let [ones, twos] = [one.mails(), two.mails()];
    assert_eq!((ones.len(), twos.len()), (4, 4));
    name.leads_to([two.addr()]);
    one.until("its stream to end", |one| one.left() == 1).await;
    for (mailer, mails) in [(&one, ones), (&two, twos)] {
        mails.iter().for_each(|mail| mailer.accept(mail));
    }
    all_accepted(&service.client(), &accounts).await;
    assert_eq!(
        one.mails().len() + two.mails().len(),
        8,
        "none is sent twice"
    );
    assert_eq!((one.opened(), two.opened()), (1, 1));
}

#[tokio::test]
async fn what_a_vanished_mailer_had_is_offered_to_another_one_at_once() {
    let world = World::new().await;
    let [one, two] = [(); 2].map(|()| Mailer::start());
    one.answers(|_| Says::Nothing);
    let to_one = Proxy::before(one.url(), 1).await;
    let name = Name::new();
    name.leads_to([to_one.addr()]);
    let service = start(&world, &name).await;
    has_stream(&one).await;
    let accounts = sign_up(&world, 4, "ada").await;
    one.until("four mails", |one| one.mails().len() == 4).await;
    to_one.vanish();
    name.leads_to([two.addr()]);
    let begun = Instant::now();
    two.until("four mails", |two| two.mails().len() == 4).await;
    // Three seconds until the name is asked for again, and two for the connection to end.
    assert!(
        begun.elapsed() < Duration::from_secs(7),
        "{:?}",
        begun.elapsed()
    );
    all_accepted(&service.client(), &accounts).await;
}

#[tokio::test]
async fn while_a_name_leads_nowhere_mails_wait_in_the_table_and_go_when_it_leads_somewhere() {
    let world = World::new().await;
    let mailer = Mailer::start();
    let name = Name::new();
    let service = start(&world, &name).await;
    let client = service.client();
    let accounts = sign_up(&world, 5, "ada").await;
    for account_id in &accounts {
        client.until_mail(account_id, 1, MailState::Pending).await;
    }
    world.until_none("codes WHERE claimed_until > 0").await;
    let (_, told) = service.probe("/readyz").await;
    assert!(told.contains("takes no mails"), "{told}");
    name.leads_to([mailer.addr()]);
    all_accepted(&client, &accounts).await;
}

#[tokio::test]
async fn names_and_addresses_can_be_listed_together() {
    let world = World::new().await;
    let [one, two] = [(); 2].map(|()| Mailer::start());
    let name = Name::new();
    name.leads_to([one.addr()]);
    let both = format!("{}, {}", name.url(), two.url());
    let service = world.start_with(&[("USHER_MAILER_URL", &both)]).await;
    has_stream(&one).await;
    has_stream(&two).await;
    let accounts = sign_up(&world, 10, "ada").await;
    all_accepted(&service.client(), &accounts).await;
    assert_eq!((one.mails().len(), two.mails().len()), (5, 5));
}
