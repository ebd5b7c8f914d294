//! The sentences: each is a test of every kind. What a caller is told differs, and stands beside it
//! by kind; what becomes of the account does not.

mod seen;

use futures::future::join_all;
use kit::{
    clock::Timestamp,
    telemetry::names,
    testing::{Phase, SOON, eventually, retry_after},
};
use proto::{
    accounts::{GetAccountRequest, MailOutcome},
    verification::{CodeState, ConfirmOutcome, MailState},
};
use rustix::process::Signal;
use tokio::{task::JoinSet, time::Instant};
use tonic::Code;
use usher::otlp::OtlpReceiver;

use super::{
    caller::{answered_at_once, answered_in_time},
    ground::{Ground, Kind, id_of},
};
pub(super) use seen::{
    i16_no_token_address_or_code_is_seen_at_any_log_level,
    the_trace_is_whole_from_the_caller_to_the_mail,
};

const ADA: &str = "ada@example.com";
const DAY: u64 = 24 * 60 * 60;

/// What a caller of this kind is told who waits as long as it takes, and one who does not.
fn told(kind: Kind, waited: MailOutcome) -> MailOutcome {
    match kind {
        Kind::Inline => waited,
        Kind::Background | Kind::Jetstream => MailOutcome::Unspecified,
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("ada{number}@example.com"))
        .collect()
}

pub(super) async fn a_committed_account_gets_its_code_for_24_hours_and_its_mail(kind: Kind) {
    let ground = Ground::start(kind, &[]).await;
    let created = ground.sign_up(ADA).await.unwrap();
    assert_eq!(created.mail(), told(kind, MailOutcome::Accepted));
    if kind == Kind::Inline {
        assert_eq!(ground.mails_to(ADA).len(), 1, "mailed before the reply");
    }
    let digits = ground.code_for(ADA).await;
    let code = ground.code(&id_of(&created), MailState::Accepted).await;
    assert_eq!((code.state(), code.number), (CodeState::Live, 1));
    let [made, expires] = [code.created_at, code.expires_at].map(|at| {
        let at = at.as_ref().and_then(Timestamp::from_proto);
        at.expect("a code has its times")
    });
    assert_eq!(expires.since(made).as_secs(), DAY);
    assert_eq!(
        ground.confirm(&id_of(&created), &digits).await,
        ConfirmOutcome::Ok
    );
    ground.until_verified(&id_of(&created)).await;
    // Of who is verified nothing is asked any more.
    let repeated = ground.sign_up(ADA).await.unwrap();
    assert_eq!(repeated.mail(), MailOutcome::Unspecified);
    assert_eq!(ground.mails_to(ADA).len(), 1);
}

/// A commit that fails at its very end, after the dispatcher took part in the transaction.
const COMMITS_FAIL: [&str; 3] = [
    "CREATE TABLE parents (id BLOB PRIMARY KEY)",
    "CREATE TABLE children (id BLOB REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TRIGGER orphans AFTER INSERT ON accounts
     BEGIN INSERT INTO children VALUES (new.id); END",
];

pub(super) async fn i04_a_rolled_back_account_gets_nothing(kind: Kind) {
    let mut ground = Ground::start(kind, &[]).await;
    let database = &ground.databases["accounts"];
    for statement in COMMITS_FAIL {
        database.execute(statement).await;
    }
    ground.sign_up(ADA).await.unwrap_err();
    database.execute("DROP TRIGGER orphans").await;
    assert_eq!(database.count("accounts").await, 0);
    let grace = "grace@example.com";
    ground.sign_up(grace).await.unwrap();
    ground.each_gets_one_mail(&[grace.to_owned()]).await;
    let known = ground.databases["verification"].count("verifications");
    assert_eq!(known.await, 1);
    assert_eq!(ground.mails_to(ADA).len(), 0);
}

pub(super) async fn verification_that_is_away_costs_no_account_and_a_repetition_brings_the_mail(
    kind: Kind,
) {
    // Three calls in a third of a second, instead of 128 in ten minutes.
    let settings = [("USHER_BACKGROUND_ATTEMPTS", "3")];
    let mut ground = Ground::start(kind, &settings).await;
    ground.stop("verification", Signal::KILL);
    let people = numbered(5);
    let began = Instant::now();
    let created = join_all(people.iter().map(|address| ground.sign_up(address))).await;
    answered_in_time(began);
    for created in created {
        let created = created.unwrap();
        assert_eq!(created.mail(), told(kind, MailOutcome::Unknown));
        assert!(ground.account(&id_of(&created)).await.is_some());
    }
    if kind == Kind::Background {
        let dropped =
            async || (ground.counted("usher_dispatch_dropped").await >= 5.0).then_some(());
        eventually("the events to be given up", SOON, dropped).await;
        let log = ground.log("accounts");
        assert_eq!(log.matches("event was dropped").count(), 1, "{log}");
    }
    ground.start_again("verification").await;
    for address in &people {
        // Whoever has no answer for certain asks again: the same key, the same account.
        let repeated = ground.sign_up(address).await.unwrap();
        assert_eq!(repeated.mail(), told(kind, MailOutcome::Accepted));
    }
    assert_eq!(ground.databases["accounts"].count("accounts").await, 5);
    ground.each_gets_one_mail(&people).await;
}

pub(super) async fn verification_that_refuses_is_asked_again(kind: Kind) {
    let mut ground = Ground::start(kind, &[]).await;
    let database = &ground.databases["verification"];
    let elsewhere = "ALTER TABLE verifications RENAME TO elsewhere";
    database.execute(elsewhere).await;
    let caller = ground.caller().await.patient();
    let waiting = tokio::spawn(async move { caller.sign_up(ADA).await });
    let refused = async || ground.log("verification").find("no such table");
    eventually("verification to refuse", SOON, refused).await;
    let back = "ALTER TABLE elsewhere RENAME TO verifications";
    database.execute(back).await;
    // Nobody repeats the sign-up: who still waits is told how it went on.
    let created = waiting.await.unwrap().unwrap();
    assert_eq!(created.mail(), told(kind, MailOutcome::Accepted));
    assert!(ground.account(&id_of(&created)).await.is_some());
    ground.code_for(ADA).await;
    assert_eq!(ground.counted("usher_dispatch_dropped").await, 0.0);
    ground.each_gets_one_mail(&[ADA.to_owned()]).await;
}

pub(super) async fn verification_that_hangs_keeps_nobody_waiting_beyond_the_deadline(kind: Kind) {
    let mut ground = Ground::start(kind, &[]).await;
    ground.send("verification", Signal::STOP);
    let began = Instant::now();
    let created = ground.sign_up(ADA).await.unwrap();
    answered_in_time(began);
    assert_eq!(created.mail(), told(kind, MailOutcome::Unknown));
    ground.send("verification", Signal::CONT);
    if kind == Kind::Inline {
        // Nobody knows whether the call that hung is carried out; another one makes sure.
        let repeated = ground.sign_up(ADA).await.unwrap();
        assert_eq!(repeated.mail(), MailOutcome::Accepted);
    }
    ground.each_gets_one_mail(&[ADA.to_owned()]).await;
}

pub(super) async fn a_mailbox_that_is_refused_for_good_is_told_where_somebody_waits(kind: Kind) {
    let ground = Ground::start(kind, &[]).await;
    ground
        .smtp
        .on(Phase::Rcpt)
        .to(ADA)
        .answer(550, "5.1.1 nobody of that name");
    let created = ground.sign_up(ADA).await.unwrap();
    assert_eq!(created.mail(), told(kind, MailOutcome::Rejected));
    ground.code(&id_of(&created), MailState::Rejected).await;
    assert!(ground.account(&id_of(&created)).await.is_some());
}

pub(super) async fn a_mail_server_that_hangs_is_told_where_somebody_waits(kind: Kind) {
    let ground = Ground::start(kind, &[]).await;
    ground.smtp.on(Phase::Mail).hang();
    let began = Instant::now();
    let created = ground.sign_up(ADA).await.unwrap();
    answered_in_time(began);
    assert_eq!(created.mail(), told(kind, MailOutcome::Pending));
    ground.code(&id_of(&created), MailState::Pending).await;
    ground.smtp.behave();
    // Its attempt has a deadline, and verification a schedule: that is theirs to show.
}

pub(super) async fn accounts_that_are_committed_together_each_get_their_own_result(kind: Kind) {
    let receiver = OtlpReceiver::record().await.unwrap();
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.endpoint())];
    let mut ground = Ground::start(kind, &settings).await;
    let refused = "ada7@example.com";
    ground
        .smtp
        .on(Phase::Rcpt)
        .to(refused)
        .answer(550, "5.1.1 nobody of that name");
    let taken = "taken@example.com";
    let first = ground.sign_up(taken).await.unwrap();
    let mut people = numbered(50);
    let caller = ground.caller().await.patient();
    let lock = ground.databases["accounts"].lock().await;
    let mut under_way = JoinSet::new();
    for address in people.clone() {
        let caller = caller.clone();
        under_way.spawn(async move { (caller.sign_up(&address).await, address) });
    }
    let again = tokio::spawn(caller.clone().sign_up_anew(taken));
    // Past the lock, over their connection: what was sent before has come by then.
    let account_id = id_of(&first);
    let mut reader = caller.client.clone();
    let read = reader.get_account(GetAccountRequest { account_id });
    read.await.unwrap();
    drop(lock);
    while let Some(answered) = under_way.join_next().await {
        let (answer, address) = answered.unwrap();
        let waited = match address == refused {
            true => MailOutcome::Rejected,
            false => MailOutcome::Accepted,
        };
        let created = answer.unwrap();
        assert_eq!(created.mail(), told(kind, waited), "{address}");
        assert_eq!(created.account.unwrap().email, address);
    }
    assert_eq!(
        again.await.unwrap().unwrap_err().code(),
        Code::AlreadyExists
    );
    people.retain(|address| address != refused);
    people.push(taken.to_owned());
    ground.each_gets_one_mail(&people).await;
    let together = receiver.matching(|span| {
        let size = span.attribute(names::DB_OPERATION_BATCH_SIZE);
        span.name == "commit sign-ups" && size != Some("1")
    });
    assert!(!together.is_empty(), "each was committed alone");
}

pub(super) async fn a_full_queue_refuses_with_a_hint_and_stores_nothing(kind: Kind) {
    // 2 instead of 4096 each. What fills them differs: inline, callers whose mails wait; background,
    // events that verification has not taken; jetstream has its table for them, and only sign-ups
    // that wait for their commit count.
    let settings = [
        ("USHER_SIGN_UP_QUEUE", "2"),
        ("USHER_SIGN_UP_BATCH", "1"),
        ("USHER_BACKGROUND_QUEUE", "2"),
    ];
    let ground = Ground::start(kind, &settings).await;
    let caller = ground.caller().await;
    let mut lock = None;
    match kind {
        Kind::Inline => ground.smtp.on(Phase::Mail).hang(),
        Kind::Background => ground.send("verification", Signal::STOP),
        Kind::Jetstream => lock = Some(ground.databases["accounts"].lock().await),
    }
    let mut under_way = JoinSet::new();
    let mut refused = Vec::new();
    for (before, address) in numbered(8).into_iter().enumerate() {
        if before == 2 && kind != Kind::Jetstream {
            // Off the queue for the commit: full is now what is kept for events alone.
            let database = &ground.databases["accounts"];
            let stored = async || (database.count("accounts").await == 2).then_some(());
            eventually("two to be stored", SOON, stored).await;
        }
        let caller = caller.clone();
        under_way.spawn(async move { (caller.sign_up(&address).await, address) });
    }
    let began = Instant::now();
    while refused.len() < 5 {
        let (answer, address) = under_way.join_next().await.unwrap().unwrap();
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            assert_eq!(retry_after(&status).as_secs(), 1);
            refused.push(address);
        }
    }
    answered_at_once(began);
    drop(lock);
    ground.send("verification", Signal::CONT);
    while let Some(answered) = under_way.join_next().await {
        let (answer, address) = answered.unwrap();
        if answer.is_err_and(|status| status.code() == Code::ResourceExhausted) {
            refused.push(address);
        }
    }
    for address in &refused {
        let stored = format!("accounts WHERE email = '{address}'");
        let stored = ground.databases["accounts"].count(&stored).await;
        assert_eq!(stored, 0, "{address} was refused");
    }
    ground.smtp.behave();
    let room_again = async || ground.sign_up(&refused[0]).await.ok();
    let created = eventually("room", SOON, room_again).await;
    assert!(ground.account(&id_of(&created)).await.is_some());
}

pub(super) async fn i18_a_stop_takes_everybody_along_who_was_answered(kind: Kind) {
    let mut ground = Ground::start(kind, &[]).await;
    ground.send("verification", Signal::STOP);
    let people = numbered(30);
    let caller = ground.caller().await.patient();
    let mut under_way = JoinSet::new();
    for address in people.clone() {
        let caller = caller.clone();
        under_way.spawn(async move { caller.sign_up(&address).await });
    }
    let database = &ground.databases["accounts"];
    let stored = async || (database.count("accounts").await == 30).then_some(());
    eventually("all to be stored", SOON, stored).await;
    ground.send("accounts", Signal::TERM);
    let stopping = async || {
        let ready = ground.ask("accounts", "/readyz").await;
        ready.is_none_or(|(status, _)| status != 200).then_some(())
    };
    eventually("accounts to begin its stop", SOON, stopping).await;
    // Only now can verification take what accounts still has.
    ground.send("verification", Signal::CONT);
    let status = tokio::task::block_in_place(|| ground.ended("accounts"));
    assert!(status.success(), "{status}");
    while let Some(answered) = under_way.join_next().await {
        let created = answered.unwrap().unwrap();
        assert_eq!(created.mail(), told(kind, MailOutcome::Accepted));
    }
    // With nobody left to start the rest again, where the stop did not finish it.
    if kind == Kind::Jetstream {
        ground.start_again("accounts").await;
    }
    ground.each_gets_one_mail(&people).await;
}
