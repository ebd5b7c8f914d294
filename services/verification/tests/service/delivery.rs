//! The delivery stream from its client's side: windows, pauses, draining, breaks, and what each
//! answer leads to.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use kit::{
    clock::{Clock, Timestamp},
    testing::{SOON, eventually},
};
use proto::{
    mailer::{Mail, Outcome, TakenBack, deliver_response::Message},
    verification::{CodeState, ConfirmOutcome, MailState, Verification},
};

use crate::{
    client::facts,
    mailer::{Mailer, Says},
    world::World,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long until the account's mail is due again, and how often it was tried.
fn due_in(world: &World, verification: &Verification) -> (Duration, u32) {
    let code = &verification.codes[0];
    let at = Timestamp::from_proto(code.next_attempt_at.as_ref().unwrap()).unwrap();
    (at.since(world.clock.now()), code.mail_attempts)
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_tried_again_by_the_schedule_until_it_can() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::unavailable());
    let service = world.start().await;
    let client = service.client();
    let account_id = world.sign_up("ada@example.org").await;
    let waits = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 3_600, 3_600];
    for (tried, seconds) in (1..).zip(waits) {
        let is = |all: &Verification| all.codes[0].mail_attempts == tried;
        let now = client.until("another attempt", &account_id, is).await;
        let (wait, _) = due_in(&world, &now);
        let expected = Duration::from_secs(seconds);
        assert!(
            wait > expected * 17 / 20 && wait <= expected * 11 / 10,
            "attempt {tried}: {wait:?}"
        );
        world.clock.advance(wait + Duration::from_secs(1));
        if seconds >= 14_400 {
            break; // the day is nearly over
        }
    }
    world.mailer.answers(|_| Says::accepted());
    client.until_mail(&account_id, 1, MailState::Accepted).await;
    let mails = world.mailer.mails_of(&account_id);
    let attempts: Vec<u32> = mails.iter().map(|mail| mail.attempt).collect();
    assert_eq!(attempts, (1..=9).collect::<Vec<_>>());
    let same: HashSet<_> = mails
        .iter()
        .map(|mail| (&mail.code_id, &mail.digits))
        .collect();
    assert_eq!(same.len(), 1, "one code, whatever happens to its mail");
}

#[tokio::test]
async fn i12_a_machine_whose_clock_is_wrong_sends_each_mail_once_as_long_as_the_databases_is_right()
{
    type Wrong = fn(&Clock, Duration);
    let ways: [(Wrong, Duration); 3] = [
        (Clock::be_fast, Duration::from_secs(25 * 60 * 60)), // longer than a code lives
        (Clock::be_slow, Duration::from_secs(25 * 60 * 60)),
        (Clock::be_fast, Duration::from_secs(60)),
    ];
    for (wrong, by) in ways {
        let world = World::new().await;
        let service = world.start_with(&[("USHER_CODE_LIFETIME", "24h")]).await;
        let client = service.client();
        wrong(&world.clock, by);
        let (account_id, digits) = world.sign_up_and_read(&client, "ada@example.org").await;
        // From the table, too.
        client.resend(&account_id).await.unwrap();
        client.until_mail(&account_id, 2, MailState::Accepted).await;
        assert_eq!(
            world.count("codes WHERE claim_no > 1").await,
            0,
            "claimed again in vain"
        );
        assert_eq!(world.mailer.mails_of(&account_id).len(), 2);
        let told = client.outcome(&account_id, &digits).await;
        assert_eq!(told, ConfirmOutcome::Superseded);
    }
}

#[tokio::test]
async fn i07_after_the_clock_was_set_back_neither_a_dead_claim_nor_a_retry_waits_for_it() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::unavailable());
    let service = world.start().await;
    let client = service.client();
    world.clock.advance(HOUR);
    let account_id = world.sign_up("ada@example.org").await;
    let tried = |all: &Verification| all.codes[0].mail_attempts == 1;
    client.until("the first attempt", &account_id, tried).await;
    // And one whose holder died.
    world
        .execute(
            "UPDATE codes SET claim_no = claim_no + 1, claimed_until = next_attempt_at + 5000000",
        )
        .await;
    world.mailer.answers(|_| Says::accepted());
    world.clock.rewind(HOUR);
    client.until_mail(&account_id, 1, MailState::Accepted).await; // the wait was of five seconds
}

#[tokio::test]
async fn final_answers_are_final() {
    let world = World::new().await;
    world.mailer.answers(|mail: &Mail| match &*mail.email {
        "rejected@example.org" => Says::Outcome(Outcome::Rejected, 0, true, 0),
        _ => Says::Outcome(Outcome::Invalid, 0, false, 0),
    });
    let service = world.start().await;
    let client = service.client();
    let rejected = world.sign_up("rejected@example.org").await;
    let invalid = world.sign_up("invalid@example.org").await;
    client.until_mail(&rejected, 1, MailState::Rejected).await;
    client.until_mail(&invalid, 1, MailState::Undelivered).await;
    let told = client.get(&rejected).await.unwrap();
    assert_eq!(facts(&told), ["code_issued", "mail_rejected"]);
    assert_eq!(
        told.history[1].detail,
        "as told about <redacted> and <redacted>"
    );
    let told = client.get(&invalid).await.unwrap();
    assert_eq!(
        (facts(&told)[1], &*told.history[1].detail),
        ("mail_undelivered", "invalid")
    );

    world.clock.advance(HOUR * 2);
    let other = world.sign_up("third@example.org").await;
    client.until_mail(&other, 1, MailState::Undelivered).await;
    assert_eq!(
        (
            world.mailer.mails_of(&rejected).len(),
            world.mailer.mails_of(&invalid).len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_rejection_that_is_taken_back_makes_the_mail_due_again_and_no_other() {
    let world = World::new().await;
    world
        .mailer
        .answers(|_| Says::Outcome(Outcome::Rejected, 0, true, 0));
    let service = world.start().await;
    let client = service.client();
    let (ada, eve) = (
        world.sign_up("ada@example.org").await,
        world.sign_up("eve@example.org").await,
    );
    for account in [&ada, &eve] {
        client.until_mail(account, 1, MailState::Rejected).await;
    }
    world.mailer.answers(|_| Says::accepted());
    let code_ids = vec![
        world.mailer.mail(&ada, 1).await.code_id,
        "of another replica".to_owned(),
        uuid::Uuid::new_v4().to_string(),
    ];
    world
        .mailer
        .say(&Message::TakenBack(TakenBack { code_ids }));
    client.until_mail(&ada, 1, MailState::Accepted).await;
    assert_eq!(world.mailer.mails_of(&ada).len(), 2);
    client.until_mail(&eve, 1, MailState::Rejected).await;
    assert_eq!(world.mailer.mails_of(&eve).len(), 1);
}

#[tokio::test]
async fn i08_an_unknown_outcome_is_sent_again_at_once_then_slowly_and_then_given_up() {
    let world = World::new().await;
    let mut unknown = 0;
    world.mailer.answers(move |_| {
        unknown += 1;
        Says::Outcome(Outcome::Unknown, unknown, true, 0)
    });
    let service = world.start().await;
    let client = service.client();
    let account_id = world.sign_up("ada@example.org").await;
    let twice = client
        .until("the second attempt", &account_id, |all| {
            all.codes[0].mail_attempts == 2
        })
        .await;
    let (wait, _) = due_in(&world, &twice);
    assert!(wait > MINUTE * 50 && wait < MINUTE * 70, "{wait:?}");
    world.clock.advance(MINUTE * 70);
    client
        .until_mail(&account_id, 1, MailState::Undelivered)
        .await;
    let told = client.get(&account_id).await.unwrap();
    assert_eq!(told.history.last().unwrap().detail, "outcome unknown");
    assert_eq!(
        facts(&told),
        [
            "code_issued",
            "mail_answer_lost",
            "mail_answer_lost",
            "mail_undelivered"
        ]
    );
    assert_eq!(
        told.codes[0].state(),
        CodeState::Live,
        "each of them may have arrived"
    );
    let mails = world.mailer.mails_of(&account_id);
    assert_eq!(mails.len(), 3);
    assert_eq!(
        client.outcome(&account_id, &mails[0].digits).await,
        ConfirmOutcome::Ok
    );
}

#[tokio::test]
async fn a_mail_in_flight_elsewhere_is_asked_for_again_and_not_counted() {
    let world = World::new().await;
    let mut asked = 0;
    world.mailer.answers(move |_| {
        asked += 1;
        if asked == 1 {
            Says::Outcome(Outcome::InFlight, 0, false, 1)
        } else {
            Says::accepted()
        }
    });
    let service = world.start().await;
    let account_id = world.sign_up("ada@example.org").await;
    let code = service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    assert_eq!(code.mail_attempts, 1);
    let attempts: Vec<u32> = world
        .mailer
        .mails_of(&account_id)
        .iter()
        .map(|mail| mail.attempt)
        .collect();
    assert_eq!(attempts, [1, 1]);
}

#[tokio::test]
async fn the_window_is_honoured_and_what_has_no_room_waits() {
    let world = World::new().await;
    world.mailer.window(3);
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let client = service.client();
    let mut accounts = Vec::new();
    for n in 0..10 {
        accounts.push(world.sign_up(&format!("ada{n}@example.org")).await);
    }
    let stored = async || (world.count("codes").await == 10).then_some(());
    eventually("ten codes", SOON, stored).await;
    let three = |mailer: &Mailer| mailer.mails().len() == 3;
    world.mailer.until("three mails", three).await;
    world.mailer.answers(|_| Says::accepted());
    let held = world.mailer.mails();
    assert_eq!(held.len(), 3, "no more than the window");
    for mail in &held {
        world.mailer.accept(mail);
    }
    for account_id in &accounts {
        client.until_mail(account_id, 1, MailState::Accepted).await;
    }
    assert_eq!(world.mailer.mails().len(), 10, "each mail once");
}

#[tokio::test]
async fn what_a_broken_stream_left_unanswered_is_offered_again_at_once() {
    let world = World::new().await;
    let mut broke = false;
    world.mailer.answers(move |_| {
        if std::mem::replace(&mut broke, true) {
            Says::accepted()
        } else {
            Says::Breaks
        }
    });
    let service = world.start().await;
    let account_id = world.sign_up("ada@example.org").await;
    let code = service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    assert_eq!(code.mail_attempts, 1, "the break counted nothing");
    let mails = world.mailer.mails_of(&account_id);
    assert_eq!((mails.len(), &mails[0].code_id), (2, &mails[1].code_id));
    assert_eq!(world.mailer.opened(), 2);
}

#[tokio::test]
async fn i17_a_mail_that_breaks_every_stream_does_not_take_the_others_along() {
    let world = World::new().await;
    world.mailer.answers(|mail: &Mail| match &*mail.email {
        "poison@example.org" => Says::Breaks,
        _ => Says::accepted(),
    });
    let service = world.start().await;
    let client = service.client();
    let poison = world.sign_up("poison@example.org").await;
    let postponed = |all: &Verification| all.codes[0].mail_attempts == 1;
    let now = client
        .until("the poison to be put off", &poison, postponed)
        .await;
    assert_eq!(facts(&now), ["code_issued", "mail_attempt_failed"]);
    let other = world.sign_up("ada@example.org").await;
    client.until_mail(&other, 1, MailState::Accepted).await;
}

#[tokio::test]
async fn i17_mails_that_hang_again_leave_half_of_the_window_to_the_others() {
    let world = World::new().await;
    world.mailer.window(4);
    world.mailer.answers(|_| Says::unavailable());
    let service = world.start().await;
    let client = service.client();
    let mut hanging = Vec::new();
    for n in 0..8 {
        hanging.push(world.sign_up(&format!("hanging{n}@example.org")).await);
    }
    for account_id in &hanging {
        client
            .until("its first attempt", account_id, |all| {
                all.codes[0].mail_attempts == 1
            })
            .await;
    }
    let tried = world.mailer.mails().len();
    world.mailer.answers(|mail: &Mail| {
        if mail.attempt > 1 {
            Says::Nothing
        } else {
            Says::accepted()
        }
    });
    world.clock.advance(MINUTE);
    let two = |mailer: &Mailer| mailer.mails().len() == tried + 2;
    world.mailer.until("two of them to hang", two).await;
    for n in 0..20 {
        let account_id = world.sign_up(&format!("ada{n}@example.org")).await;
        client.until_mail(&account_id, 1, MailState::Accepted).await;
    }
    assert_eq!(world.mailer.mails().len(), tried + 2 + 20);
}

/// So many accounts whose mail failed once.
async fn failed_once(world: &World, number: usize) -> Vec<String> {
    world.mailer.answers(|_| Says::unavailable());
    let mut accounts = Vec::with_capacity(number);
    for n in 0..number {
        accounts.push(world.sign_up(&format!("retry{n}@example.org")).await);
    }
    let failed = async || world.count("codes WHERE mail_attempts > 0").await;
    let all = async || (failed().await == number as i64).then_some(());
    eventually("every first attempt to fail", SOON, all).await;
    accounts
}

#[tokio::test]
async fn first_attempts_and_later_ones_stay_within_the_window_together() {
    let world = World::new().await;
    world.mailer.window(8);
    let service = world.start().await;
    failed_once(&world, 10).await;
    world.mailer.answers(|_| Says::Nothing);
    world.clock.advance(MINUTE);
    let held = async |number: usize| {
        let held = |mailer: &Mailer| mailer.mails().len() == 10 + number;
        world.mailer.until("the mails that have room", held).await;
    };
    held(4).await; // half of the window
    for n in 0..10 {
        world.sign_up(&format!("ada{n}@example.org")).await;
    }
    held(8).await; // where three quarters were free for them
    let first = world.mailer.mails().swap_remove(17);
    world.mailer.accept(&first);
    let client = service.client();
    client
        .until_mail(&first.account_id, 1, MailState::Accepted)
        .await;
    held(9).await;
}

#[tokio::test]
async fn two_thousand_mails_that_are_due_again_leave_four_times_as_fast_as_fifty_a_second() {
    const MAILS: i64 = 2_000;
    let world = World::new().await;
    world.mailer.window(256);
    let more = [
        ("USHER_DELIVERY_TICK", "1s"),
        ("USHER_DELIVERY_LEASE", "1h"),
    ];
    let _service = world.start_with(&more).await;
    failed_once(&world, MAILS as usize).await;
    world.mailer.answers(|_| Says::accepted());
    // Some may have failed twice by now.
    world.clock.advance(MINUTE);
    let accepted = "codes WHERE mail_state = 'accepted'";
    let begun = async || (world.count(accepted).await > 0).then_some(Instant::now());
    let begun = eventually("the first of them", SOON, begun).await;
    let all = async || (world.count(accepted).await == MAILS).then_some(());
    eventually("all of them", SOON, all).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?} for {MAILS}");
}

#[tokio::test]
async fn a_mail_that_is_due_again_has_its_turn_however_many_sign_up() {
    const OTHERS: usize = 80;
    let world = World::new().await;
    world.mailer.window(8);
    let _service = world.start_with(&[("USHER_DELIVERY_LEASE", "1h")]).await;
    let account_id = failed_once(&world, 1).await.remove(0);
    world.mailer.answers(|_| Says::Nothing);
    for n in 0..OTHERS {
        world.sign_up(&format!("ada{n}@example.org")).await;
    }
    let stored = async || (world.count("codes").await == OTHERS as i64 + 1).then_some(());
    eventually("all codes", SOON, stored).await;
    world.clock.advance(Duration::from_secs(10));
    let claimed = async || (world.count("codes WHERE claim_no = 2").await == 1).then_some(());
    eventually("the tick to take it", SOON, claimed).await;
    // Each answer makes room for one more.
    let mut answered = 0;
    let is_sent = |mailer: &Mailer| mailer.mails_of(&account_id).len() == 2;
    while !is_sent(&world.mailer) {
        let waiting = |mailer: &Mailer| is_sent(mailer) || mailer.mails().len() > answered + 1;
        world.mailer.until("another mail", waiting).await;
        let next = world.mailer.mails().swap_remove(answered + 1);
        world.mailer.accept(&next);
        answered += 1;
        assert!(answered <= 16, "{answered} others went before it");
    }
}

#[tokio::test]
async fn a_pause_stops_the_mails_counts_nothing_and_ends_by_itself() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let client = service.client();
    let first = world.sign_up("ada@example.org").await;
    let mail = world.mailer.mail(&first, 1).await;
    let (pause, begun) = (Duration::from_secs(4), Instant::now());
    world.mailer.pause(pause);
    world.mailer.answers(|_| Says::accepted());
    world.mailer.accept(&mail); // once this is known, the pause has been heard
    client.until_mail(&first, 1, MailState::Accepted).await;
    let second = world.sign_up("grace@example.org").await;
    let stored = client.until_mail(&second, 1, MailState::Pending).await;
    assert_eq!(stored.mail_attempts, 0);
    let code = client.until_mail(&second, 1, MailState::Accepted).await;
    assert!(
        begun.elapsed() >= pause,
        "nothing was sent before the pause was over"
    );
    assert_eq!(code.mail_attempts, 1);
    assert_eq!(
        (world.mailer.mails().len(), world.mailer.opened()),
        (2, 1),
        "one stream all the time"
    );
}

#[tokio::test]
async fn a_draining_stream_answers_what_it_holds_while_another_one_takes_the_rest() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start().await;
    let client = service.client();
    let held = world.sign_up("ada@example.org").await;
    let mail = world.mailer.mail(&held, 1).await;
    world.mailer.answers(|_| Says::accepted());
    world.mailer.drain();
    let followed = |mailer: &Mailer| mailer.opened() == 2;
    world.mailer.until("its successor", followed).await;
    let next = world.sign_up("grace@example.org").await;
    client.until_mail(&next, 1, MailState::Accepted).await;
    world.mailer.accept(&mail);
    client.until_mail(&held, 1, MailState::Accepted).await;
    assert_eq!(
        world.mailer.mails_of(&held).len(),
        1,
        "it was not offered twice"
    );
}

#[tokio::test]
async fn i18_a_stop_settles_what_is_answered_and_lets_go_of_the_rest_at_once() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::Nothing);
    let service = world.start_with(&[("USHER_DELIVERY_LEASE", "1h")]).await;
    let account_id = world.sign_up("ada@example.org").await;
    world.mailer.mail(&account_id, 1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), service.stop()).await;
    assert!(stopped.is_ok(), "a mail without an answer holds nobody up");
    assert_eq!(
        world.count("codes WHERE claimed_until > 0").await,
        0,
        "another replica need not wait an hour"
    );
    world.mailer.answers(|_| Says::accepted());
    let service = world.start().await;
    service
        .client()
        .until_mail(&account_id, 1, MailState::Accepted)
        .await;
    let keys: HashSet<_> = world
        .mailer
        .mails()
        .into_iter()
        .map(|mail| mail.code_id)
        .collect();
    assert_eq!(keys.len(), 1, "the mailer sees the same key again");
}

#[tokio::test]
async fn a_storm_of_new_mails_leaves_a_share_to_those_that_were_tried_before() {
    let world = World::new().await;
    world.mailer.answers(|_| Says::unavailable());
    let _service = world.start().await;
    let tried = world.sign_up("tried@example.org").await;
    world.mailer.mail(&tried, 1).await;
    world.until_none("codes WHERE mail_attempts = 0").await;
    // More first attempts than the window holds, and none of them is answered.
    world.mailer.answers(|_| Says::Nothing);
    for n in 0..100 {
        world.sign_up(&format!("new{n}@example.org")).await;
    }
    world
        .mailer
        .until("the storm", |mailer| mailer.mails().len() >= 49)
        .await;
    world.clock.advance(MINUTE);
    world.mailer.mail(&tried, 2).await;
}
