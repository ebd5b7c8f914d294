//! Guesses: the six answers, their order, and what is counted.

use std::time::Duration;

use futures::future::join_all;
use kit::{
    clock::Clock,
    testing::{SmallDisk, fields},
};
use proto::verification::{
    CodeState, ConfirmCodeRequest, ConfirmOutcome, MailState, confirm_code_request::Target,
};
use tonic::Code;

use crate::{
    client::{Client, facts, nobody, wrong},
    world::World,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Asks for another code once that is allowed, and returns its digits.
async fn another(world: &World, client: &Client, account_id: &str, number: u32) -> String {
    world.clock.advance(HOUR); // past cooldown and hourly limit
    client.resend(account_id).await.unwrap();
    client
        .until_mail(account_id, number, MailState::Accepted)
        .await;
    world
        .mailer
        .mail(account_id, usize::try_from(number).unwrap())
        .await
        .digits
}

/// Burns the account's live code by wrong guesses.
async fn burn(client: &Client, account_id: &str, digits: &str) {
    for left in (0..5).rev() {
        let answer = client.confirm(account_id, &wrong(digits)).await;
        assert_eq!(
            (answer.outcome(), answer.attempts_left),
            (ConfirmOutcome::Wrong, left)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_a_hundred_right_codes_at_once_give_one_ok() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let answers = join_all((0..100).map(|_| client.outcome(&account_id, &digits))).await;
    let ok = answers
        .iter()
        .filter(|answer| **answer == ConfirmOutcome::Ok)
        .count();
    let already = answers
        .iter()
        .filter(|answer| **answer == ConfirmOutcome::AlreadyVerified)
        .count();
    assert_eq!((ok, already), (1, 99));
    assert_eq!(world.count("outbox").await, 1, "one AccountVerified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i11_five_wrong_guesses_burn_a_code_however_many_come_at_once() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let guess = wrong(&digits);
    let answers = join_all((0..60).map(|_| client.outcome(&account_id, &guess))).await;
    let counted = answers
        .iter()
        .filter(|answer| **answer == ConfirmOutcome::Wrong)
        .count();
    assert_eq!(counted, 5);

    let answer = client.confirm(&account_id, &digits).await;
    assert_eq!(
        answer.outcome(),
        ConfirmOutcome::Burnt,
        "right, but too late"
    );
    assert_eq!(
        answer.retry_after.unwrap().seconds,
        0,
        "another code may be asked for at once"
    );
    let burnt = client.get(&account_id).await.unwrap();
    assert_eq!(
        (burnt.codes[0].state(), burnt.codes[0].guesses),
        (CodeState::Burnt, 5)
    );
    assert_eq!(
        facts(&burnt)[2..],
        ["guess_wrong"; 5]
            .into_iter()
            .chain(["code_burnt"])
            .collect::<Vec<_>>()
    );

    let digits = another(&world, &client, &account_id, 2).await;
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn i11_twenty_five_guesses_a_day_are_an_accounts_limit_whatever_codes_it_gets() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, mut digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    for number in 2..=6 {
        burn(&client, &account_id, &digits).await;
        digits = another(&world, &client, &account_id, number).await;
    }
    let answer = client.confirm(&account_id, &digits).await;
    assert_eq!(
        answer.outcome(),
        ConfirmOutcome::Burnt,
        "the 26th guess is not even compared"
    );
    let wait = Duration::try_from(answer.retry_after.unwrap()).unwrap();
    assert!(
        wait > HOUR * 18 && wait <= HOUR * 19,
        "until the first guess is a day old, five hours have passed: {wait:?}"
    );
    let unharmed = client.get(&account_id).await.unwrap();
    assert_eq!(
        (unharmed.codes[0].state(), unharmed.codes[0].guesses),
        (CodeState::Live, 0)
    );

    world.clock.advance(wait - MINUTE);
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Burnt
    );
    world.clock.advance(MINUTE * 2);
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn i12_a_code_expires_by_the_databases_clock_and_not_before_whatever_the_machines_says() {
    type Wrong = fn(&Clock, Duration);
    let machines: [Wrong; 3] = [|_, _| {}, Clock::be_fast, Clock::be_slow];
    for wrong_by in machines {
        let world = World::new().await;
        // As everybody has them.
        let defaults = [("USHER_DELIVERY_TICK", "1s"), ("USHER_ACK_WAIT", "3s")];
        let service = world.start_with(&defaults).await;
        let client = service.client();
        let (early, early_digits) = world.sign_up_and_read(&client, "ada@example.org").await;
        let (late, late_digits) = world.sign_up_and_read(&client, "grace@example.org").await;
        wrong_by(&world.clock, HOUR * 25);
        world.clock.advance(HOUR * 24 - MINUTE);
        let told = client.outcome(&early, &early_digits).await;
        assert_eq!(told, ConfirmOutcome::Ok);
        world.clock.advance(MINUTE);
        for digits in [&late_digits, &wrong(&late_digits)] {
            let told = client.outcome(&late, digits).await;
            assert_eq!(told, ConfirmOutcome::Expired);
        }
        let shown = client.get(&late).await.unwrap();
        assert_eq!(shown.codes[0].guesses, 0, "nothing was counted");
    }
}

#[tokio::test]
async fn i12_what_was_told_to_have_expired_stays_so_when_the_clock_is_set_back() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let expiry = client.get(&account_id).await.unwrap().codes[0].expires_at;
    world.clock.advance(HOUR * 24);
    let told = client.outcome(&account_id, &digits).await;
    assert_eq!(told, ConfirmOutcome::Expired);
    world.clock.rewind(HOUR);
    let told = client.outcome(&account_id, &digits).await;
    assert_eq!(told, ConfirmOutcome::Expired);
    let shown = client.get(&account_id).await.unwrap().codes[0].expires_at;
    assert_eq!(shown, expiry, "when it expired is still shown");
    client.resend(&account_id).await.unwrap();
    client.until_mail(&account_id, 2, MailState::Accepted).await; // the next one comes all the same
}

#[tokio::test]
async fn i06_older_codes_never_confirm_and_the_three_newest_of_them_are_told_apart() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, first) = world.sign_up_and_read(&client, "ada@example.org").await;
    let mut all = vec![first];
    for number in 2..=5 {
        all.push(another(&world, &client, &account_id, number).await);
    }
    // Codes 2, 3 and 4 are the three newest superseded ones; code 1 is only wrong.
    for (digits, expected) in [
        (0, ConfirmOutcome::Wrong),
        (1, ConfirmOutcome::Superseded),
        (3, ConfirmOutcome::Superseded),
    ] {
        assert_eq!(
            client.outcome(&account_id, &all[digits]).await,
            expected,
            "code {}",
            digits + 1
        );
    }
    let counted = client.confirm(&account_id, &all[2]).await;
    assert_eq!(
        (counted.outcome(), counted.attempts_left),
        (ConfirmOutcome::Superseded, 1)
    );
    assert_eq!(
        client.outcome(&account_id, &all[4]).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn a_code_is_read_as_people_type_it() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    for (n, form) in ["{a} {b}", " {a}-{b}\n", "{a}\u{a0}{b}", "wide"]
        .into_iter()
        .enumerate()
    {
        let (account_id, digits) = world
            .sign_up_and_read(&client, &format!("ada{n}@example.org"))
            .await;
        let wide = |digit: char| char::from_u32(digit as u32 - '0' as u32 + '０' as u32).unwrap();
        let typed = match form {
            "wide" => digits.chars().map(wide).collect(),
            form => form
                .replace("{a}", &digits[..4])
                .replace("{b}", &digits[4..]),
        };
        assert_eq!(
            client.outcome(&account_id, &typed).await,
            ConfirmOutcome::Ok,
            "{typed:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_the_code_is_refused_and_not_counted() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let long = "1".repeat(4_000);
    for typed in [
        "",
        "1234567",
        "123456789",
        "12345678901",
        "1234567x",
        "' OR 1=1",
        &*long,
    ] {
        let refused = client.try_confirm(&account_id, typed).await.unwrap_err();
        assert_eq!(fields(&refused), ["code"], "{typed:?}");
    }
    assert_eq!(client.get(&account_id).await.unwrap().codes[0].guesses, 0);
    assert_eq!(
        client.outcome(&account_id, &digits).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn a_message_of_a_mebibyte_is_refused_by_the_limit() {
    let world = World::new().await;
    let service = world.start().await;
    let refused = service
        .client()
        .try_confirm(&nobody(), &"1".repeat(1 << 20))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn the_links_code_id_names_the_account_and_unknown_targets_are_not_found() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    let code_id = client.get(&account_id).await.unwrap().codes[0]
        .code_id
        .clone();
    let confirm = async |target, code: &str| {
        let request = ConfirmCodeRequest {
            target,
            code: code.to_owned(),
        };
        client
            .0
            .clone()
            .confirm_code(request)
            .await
            .map(tonic::Response::into_inner)
    };
    for target in [Target::AccountId(nobody()), Target::CodeId(nobody())] {
        assert_eq!(
            confirm(Some(target), &digits).await.unwrap_err().code(),
            Code::NotFound
        );
    }
    assert_eq!(
        fields(&confirm(None, &digits).await.unwrap_err()),
        ["target"]
    );
    assert_eq!(
        fields(
            &confirm(Some(Target::CodeId("x".to_owned())), &digits)
                .await
                .unwrap_err()
        ),
        ["code_id"]
    );

    // The link of an older mail means the account, and with it the newest code.
    let newest = another(&world, &client, &account_id, 2).await;
    let answer = confirm(Some(Target::CodeId(code_id)), &newest)
        .await
        .unwrap();
    assert_eq!(answer.outcome(), ConfirmOutcome::Ok);
}

#[tokio::test]
async fn verified_is_answered_first_and_burnt_before_expired() {
    let world = World::new().await;
    let service = world.start().await;
    let client = service.client();
    let (verified, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
    client.confirm(&verified, &digits).await;
    let (burnt, other) = world.sign_up_and_read(&client, "grace@example.org").await;
    burn(&client, &burnt, &other).await;
    world.clock.advance(HOUR * 48);
    assert_eq!(
        client.outcome(&verified, &wrong(&digits)).await,
        ConfirmOutcome::AlreadyVerified
    );
    assert_eq!(client.outcome(&burnt, &other).await, ConfirmOutcome::Burnt);
}

#[tokio::test]
async fn i10_after_a_full_disk_each_code_that_confirmed_has_confirmed_after_a_crash() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let world = World::on_disk(&disk).await;
    let service = world.process(&[]).await;
    let client = service.client();
    let mut codes = Vec::new();
    for n in 0..30 {
        codes.push(
            world
                .sign_up_and_read(&client, &format!("ada{n}@example.org"))
                .await,
        );
    }
    disk.fill();
    let mut confirmed = 0;
    let mut refused = 0;
    while refused < 3 {
        let (account_id, digits) = &codes[confirmed];
        match client.try_confirm(account_id, digits).await {
            Ok(answer) => {
                assert_eq!(answer.outcome(), ConfirmOutcome::Ok);
                confirmed += 1;
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                refused += 1;
            }
        }
    }
    disk.free();
    for (account_id, digits) in &codes[confirmed..] {
        assert_eq!(client.outcome(account_id, digits).await, ConfirmOutcome::Ok);
    }
    service.kill().await;
    let verified = world
        .count("verifications WHERE verified_at IS NOT NULL")
        .await;
    assert_eq!(verified, codes.len() as i64);
}
