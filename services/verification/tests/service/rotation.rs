//! Replicas on one database whose key rings are of different ages, as they are while keys are
//! rotated: nobody holds a dead code, nobody gets a third mail.

use std::time::Duration;

use kit::testing::{SOON, eventually, shown};
use proto::{
    mailer::{Mail, Outcome},
    verification::{
        CodeKeyState, ConfirmOutcome, ListCodeKeysRequest, MailState,
        verification_admin_client::VerificationAdminClient,
    },
};
use serde_json::Value;
use tonic::Code;

use crate::{
    client::{Client, wrong},
    mailer::Says,
    world::{Service, World},
};

const PEOPLE: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a ring of such words: `k2`, `k3:new`, `k1:retired`.
fn write_ring(world: &World, name: &str, keys: &str) {
    let mut text = String::new();
    for word in keys.split(' ') {
        let (id, mark) = word.split_once(':').unwrap_or((word, ""));
        let secret = id.replace('k', "0").repeat(32);
        text += &match mark {
            "" => format!("{id}:{secret}\n"),
            mark => format!("{id}:{secret}:{mark}\n"),
        };
    }
    // Whole or not at all: a replica reads the file at any moment.
    kit::files::replace(&world.file(name), &text).unwrap();
}

async fn replica(world: &World, ring: &str) -> Service {
    let file = world.file(ring).display().to_string();
    world.start_with(&[("USHER_CODE_KEYS_FILE", &file)]).await
}

async fn readiness(replica: &Service) -> Value {
    serde_json::from_str(&replica.probe("/readyz").await.1).unwrap()
}

/// Waits until the replica has read its ring anew.
async fn until_read(replica: &Service, in_use: &str, known: &[&str], retired: &[&str]) {
    eventually("the ring to be read", SOON, async || {
        let keys = readiness(replica).await["code_keys"].take();
        let is_read = keys["in_use"][0] == in_use
            && keys["known"] == serde_json::json!(known)
            && keys["retired"] == serde_json::json!(retired);
        is_read.then_some(())
    })
    .await;
}

/// A mail server that greylists: the first mail reaches it, and is to come again.
fn greylisting(mail: &Mail) -> Says {
    match mail.attempt {
        1 => Says::Outcome(Outcome::Unavailable, 0, true, 0),
        _ => Says::accepted(),
    }
}

/// Signs people up, whose first mail is to come again.
async fn sign_up(world: &World, client: &Client, number: usize) -> Vec<String> {
    let mut people = Vec::new();
    for _ in 0..number {
        let email = format!("ada-{}@example.org", world.clock.uuid_v7());
        people.push(world.sign_up(&email).await);
    }
    for account_id in &people {
        let tried = |all: &proto::verification::Verification| all.codes[0].mail_attempts == 1;
        client.until("an attempt", account_id, tried).await;
    }
    people
}

/// The digits in the account's mails, in their order.
fn digits(world: &World, account_id: &str) -> Vec<String> {
    let mails = world.mailer.mails_of(account_id).into_iter();
    mails.map(|mail| mail.digits).collect()
}

#[tokio::test]
async fn i06_i08_a_replica_that_does_not_know_a_key_leaves_its_codes_to_the_others() {
    let Some(world) = World::on_postgres("rings").await else {
        return;
    };
    write_ring(&world, "newer", "k2 k1");
    write_ring(&world, "older", "k1");
    world.mailer.answers(greylisting);
    let newer = replica(&world, "newer").await;
    let people = sign_up(&world, &newer.client(), PEOPLE).await;
    newer.stop().await;
    let older = replica(&world, "older").await;
    let client = older.client();
    let other = sign_up(&world, &client, 1).await.swap_remove(0);
    world.clock.advance(MINUTE);
    // By the same look at the table for what is due.
    client.until_mail(&other, 1, MailState::Accepted).await;
    let told = async || {
        let degraded = readiness(&older).await["degraded"]["code keys"].take();
        degraded["reason"].as_str().map(str::to_owned)
    };
    let told = eventually("it to be told", SOON, told).await;
    assert_eq!(told, "the code keys do not have k2, which mails wait for");

    let newer = replica(&world, "newer").await;
    for account_id in &people {
        client.until_mail(account_id, 1, MailState::Accepted).await;
        let codes = digits(&world, account_id);
        assert_eq!(
            codes,
            [codes[0].clone(), codes[0].clone()],
            "the same code, twice"
        );
        let refused = client.try_confirm(account_id, &codes[0]).await.unwrap_err();
        assert_eq!(
            shown(&refused),
            "Unavailable: This replica of verification does not know the key k2, from which the \
             code was made. Nothing was counted; another replica can check it.\n  \
             reason KEY_UNKNOWN of usher\n  retry after 5s"
        );
        let answer = newer.client().outcome(account_id, &codes[0]).await;
        assert_eq!(answer, ConfirmOutcome::Ok, "nothing was counted");
    }
}

/// People who sign up, ask for another code, and type what they got, on either side.
async fn people_come_and_go(world: &World, replicas: [&Service; 2]) {
    let clients = replicas.map(Service::client);
    let [one, two] = &clients;
    world.mailer.answers(greylisting);
    let waiting = sign_up(world, one, PEOPLE).await;
    world.clock.advance(MINUTE);
    for (n, account_id) in waiting.iter().enumerate() {
        one.until_mail(account_id, 1, MailState::Accepted).await;
        let codes = digits(world, account_id);
        assert_eq!(
            codes,
            [codes[0].clone(), codes[0].clone()],
            "the same code, twice"
        );
        let side = &clients[n % 2];
        assert_eq!(
            side.outcome(account_id, &codes[0]).await,
            ConfirmOutcome::Ok
        );
    }

    world.mailer.answers(|_| Says::accepted());
    for n in 0..2 {
        let (side, other) = (&clients[n], &clients[1 - n]);
        let email = format!("grace-{}@example.org", world.clock.uuid_v7());
        let (account_id, first) = world.sign_up_and_read(side, &email).await;
        other.resend(&account_id).await.unwrap();
        let refused = side.resend_by_email(&email).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::ResourceExhausted,
            "one budget on both sides"
        );
        two.until_mail(&account_id, 2, MailState::Accepted).await;
        assert_eq!(
            side.outcome(&account_id, &first).await,
            ConfirmOutcome::Superseded
        );
        let codes = digits(world, &account_id);
        assert_eq!(codes.len(), 2);
        assert_eq!(
            other.outcome(&account_id, &codes[1]).await,
            ConfirmOutcome::Ok
        );
    }
}

#[tokio::test]
async fn i06_i08_through_all_steps_of_a_rotation_nobody_holds_a_dead_code_or_gets_a_third_mail() {
    let Some(world) = World::on_postgres("rotation").await else {
        return;
    };
    for ring in ["reads anew", "restarted"] {
        write_ring(&world, ring, "k1");
    }
    let reader = replica(&world, "reads anew").await;
    let mut restarted = replica(&world, "restarted").await;
    people_come_and_go(&world, [&reader, &restarted]).await;
    // Generated, activated, retired.
    let steps: [(&str, &str, &[&str], &[&str]); 3] = [
        ("k1 k2:new", "k1", &["k1", "k2"], &[]),
        ("k2 k1", "k2", &["k2", "k1"], &[]),
        ("k2 k1:retired", "k2", &["k2"], &["k1"]),
    ];
    for (ring, in_use, known, retired) in steps {
        write_ring(&world, "reads anew", ring);
        until_read(&reader, in_use, known, retired).await;
        people_come_and_go(&world, [&reader, &restarted]).await;

        write_ring(&world, "restarted", ring);
        restarted.stop().await;
        restarted = replica(&world, "restarted").await;
        until_read(&restarted, in_use, known, retired).await;
        people_come_and_go(&world, [&reader, &restarted]).await;
    }
    assert_eq!(
        world.count("verifications WHERE verified_at IS NULL").await,
        0
    );
}

#[tokio::test]
async fn a_code_of_a_retired_key_has_expired_and_its_pending_mail_gets_the_next_code() {
    let world = World::new().await;
    write_ring(&world, "code-keys", "k1");
    let service = world.start().await;
    let client = service.client();
    let (live, old) = world.sign_up_and_read(&client, "ada@example.org").await;
    world.mailer.answers(|_| Says::unavailable());
    let pending = sign_up(&world, &client, 1).await.swap_remove(0);
    write_ring(&world, "code-keys", "k2 k1:retired");
    until_read(&service, "k2", &["k2"], &["k1"]).await;
    // Until then the first code's mail may be on its way, claimed by the ring before.
    client.until_code(&pending, 2).await;
    world.mailer.answers(|_| Says::accepted());
    client.until_mail(&pending, 2, MailState::Accepted).await;
    let code = digits(&world, &pending).pop().unwrap();
    assert_eq!(client.outcome(&pending, &code).await, ConfirmOutcome::Ok);
    let shown = client.get(&pending).await.unwrap();
    assert!(
        shown
            .history
            .iter()
            .any(|fact| fact.detail == "its key is retired")
    );

    for typed in [&old, &wrong(&old)] {
        assert_eq!(client.outcome(&live, typed).await, ConfirmOutcome::Expired);
    }
    client.resend(&live).await.unwrap();
    client.until_mail(&live, 2, MailState::Accepted).await;
    assert_eq!(client.outcome(&live, &old).await, ConfirmOutcome::Wrong);
    let code = digits(&world, &live).pop().unwrap();
    assert_eq!(client.outcome(&live, &code).await, ConfirmOutcome::Ok);
}

#[tokio::test]
async fn a_ring_that_becomes_unusable_is_told_and_the_one_before_stays_in_use() {
    let world = World::new().await;
    write_ring(&world, "code-keys", "k1");
    let service = world.start().await;
    let client = service.client();
    let (account_id, code) = world.sign_up_and_read(&client, "ada@example.org").await;
    std::fs::write(world.file("code-keys"), "k1:00ff\n").unwrap();
    let told = async || {
        let degraded = readiness(&service).await["degraded"]["code keys"].take();
        degraded["reason"].is_string().then_some(degraded)
    };
    let told = eventually("it to be told", SOON, told).await;
    let file = world.file("code-keys").display().to_string();
    let said = told["reason"].as_str().unwrap();
    assert!(
        said.contains("line 1: expected 64 hexadecimal digits"),
        "{said}"
    );
    assert!(said.contains(&file) && !said.contains("00ff"), "{said}");
    let advice = told["advice"].as_str().unwrap();
    assert!(advice.ends_with(&format!("sed -i 1d {file}")), "{advice}");
    assert_eq!(client.outcome(&account_id, &code).await, ConfirmOutcome::Ok);
    write_ring(&world, "code-keys", "k1 k2:new");
    until_read(&service, "k1", &["k1", "k2"], &[]).await;
    assert_eq!(
        readiness(&service).await["degraded"]["code keys"],
        Value::Null
    );
}

#[tokio::test]
async fn operators_see_what_each_key_is_and_what_still_names_it() {
    let world = World::new().await;
    write_ring(&world, "code-keys", "k1");
    let service = world.start().await;
    let client = service.client();
    world.sign_up_and_read(&client, "ada@example.org").await;
    world.mailer.answers(|_| Says::unavailable());
    sign_up(&world, &client, 2).await;
    let keys = async || {
        let mut admin = service.admin(VerificationAdminClient::new);
        let request = service.as_operator(ListCodeKeysRequest {});
        let listed = admin.list_code_keys(request).await.unwrap().into_inner();
        let mut keys = Vec::new();
        for key in listed.keys {
            let is_named_until = key.live_until.is_some();
            let counted = (key.live_codes, key.pending_mails, is_named_until);
            keys.push((key.key_id.clone(), key.state(), counted));
        }
        keys
    };
    let key = |id: &str, state, counted| (id.to_owned(), state, counted);
    assert_eq!(keys().await, [key("k1", CodeKeyState::InUse, (3, 2, true))]);

    write_ring(&world, "code-keys", "k2 k3:new k0:retired");
    until_read(&service, "k2", &["k2", "k3"], &["k0"]).await;
    assert_eq!(
        keys().await,
        [
            key("k2", CodeKeyState::InUse, (0, 0, false)),
            key("k3", CodeKeyState::New, (0, 0, false)),
            key("k0", CodeKeyState::Retired, (0, 0, false)),
            key("k1", CodeKeyState::Unknown, (3, 2, true)),
        ]
    );
    assert_eq!(
        readiness(&service).await["code_keys"]["in_use"],
        serde_json::json!(["k2", "k1"]),
        "what began before may still commit under it"
    );
    // Mails of a key that nobody has are not lost: they get the next code once theirs expires.
    world.mailer.answers(|_| Says::accepted());
    world.clock.advance(DAY);
    world.until_none("codes WHERE mail_state = 'pending'").await;
    assert_eq!(
        world
            .count("codes WHERE key_id = 'k2' AND mail_state = 'accepted'")
            .await,
        2
    );
}
