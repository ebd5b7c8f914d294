//! Plans of faults that are not drawn: what befalls a system is chosen, so that nothing of it is left
//! to chance. Each ends with the conservation check, and prints its report.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use kit::testing::{Postgres, is_root, skip};
use load_tests::{
    dispatcher::Dispatcher,
    faults::{Fault, Kind, Plan},
    load::Load,
    people::People,
    place::{Ground, Place, Spot},
    report::{Outcome, Report},
    run::{Run, Subject},
    sink::{Mood, Moods},
    typing::Typing,
};

/// Beyond every lease of ten seconds.
const BEYOND_ITS_LEASE: f64 = 13.0;
/// Long enough for what is due each second to meet it.
const FULL: f64 = 5.0;

const SERVICES: [Place; 3] = [Place::Accounts, Place::Verification, Place::Mailer];

/// Of two replicas of each service one stands still for longer than its leases, and the other one
/// is killed meanwhile; then the other way round. Who comes back finds its work done by others.
#[tokio::test(flavor = "multi_thread")]
async fn i07_i08_of_two_replicas_one_stands_still_beyond_its_leases_while_the_other_is_killed() {
    if Postgres::start().await.is_none() {
        return;
    }
    let mut faults = Vec::new();
    for (begin, still) in [(3.0, 0), (20.0, 1)] {
        for place in SERVICES {
            faults.push(fault(begin, place, still, Kind::Pause, BEYOND_ITS_LEASE));
            // First while what the other one held is still its own, then when it is anybody's.
            for after in [1.0, 11.0] {
                faults.push(fault(begin + after, place, 1 - still, Kind::Kill, 0.0));
            }
        }
    }
    let report = survived(Ground::Postgres, 36, faults, Moods::none()).await;
    assert_eq!(report.faults[&Kind::Pause], 6);
    assert!(report.faults[&Kind::Kill] >= 11, "{:?}", report.faults);
}

/// Each alone, then all in one moment, the broker too.
#[tokio::test(flavor = "multi_thread")]
async fn i18_each_service_and_then_all_at_once_stop_under_load_within_ten_seconds() {
    let mut faults = Vec::new();
    for (nth, place) in (0_u8..).zip(SERVICES) {
        faults.push(fault(2.0 + 3.0 * f64::from(nth), place, 0, Kind::Stop, 0.0));
    }
    for place in [&SERVICES[..], &[Place::NatsServer]].concat() {
        faults.push(fault(12.0, place, 0, Kind::Stop, 0.0));
    }
    let report = survived(Ground::Sqlite, 16, faults, Moods::none()).await;
    assert_eq!(report.faults[&Kind::Stop], 7);
    assert!(
        report.slowest_stop < Duration::from_secs(10),
        "{:?}",
        report.slowest_stop
    );
    assert_eq!(report.verdict.doubled, 0, "a stop is no crash");
}

/// Each disk alone, then all at once.
#[tokio::test(flavor = "multi_thread")]
async fn i01_i07_while_each_disk_and_then_all_are_full_nothing_is_promised_that_is_not_kept() {
    if !is_root() {
        return skip(false, ", because only root can mount a disk");
    }
    let disks = [
        Place::AccountsDisk,
        Place::VerificationDisk,
        Place::MailerDisk,
        Place::NatsDisk,
    ];
    let mut faults = Vec::new();
    for (nth, disk) in (0_u8..).zip(disks) {
        faults.push(fault(2.0 + 7.0 * f64::from(nth), disk, 0, Kind::Full, FULL));
        faults.push(fault(32.0, disk, 0, Kind::Full, FULL));
    }
    let report = survived(Ground::Sqlite, 40, faults, Moods::none()).await;
    assert_eq!(report.faults[&Kind::Full], 8);
    assert!(
        report.verdict.refused + report.verdict.unknown > 0,
        "a full disk refuses sign-ups"
    );
    assert_eq!(report.verdict.doubled, 0, "a full disk is no crash");
}

/// Both services that need the broker hear nothing of it for a minute, nor does it of them.
#[tokio::test(flavor = "multi_thread")]
async fn i03_while_the_broker_is_swallowed_for_a_minute_sign_ups_go_on_and_their_mails_follow() {
    const MINUTE: f64 = 60.0;
    let wires = [Place::AccountsToNats, Place::VerificationToNats];
    let faults = wires.map(|wire| fault(2.0, wire, 0, Kind::Hole, MINUTE));
    let report = survived(Ground::Sqlite, 64, faults.into(), Moods::none()).await;
    let verdict = report.verdict;
    assert_eq!((verdict.refused, verdict.unknown), (0, 0), "nobody notices");
    assert_eq!(verdict.doubled, 0, "nothing was sent twice");
    assert!(
        verdict.settled_after < Duration::from_secs(60),
        "{:?}",
        verdict.settled_after
    );
}

/// While the mail server takes its time, so that there is always something under way.
#[tokio::test(flavor = "multi_thread")]
async fn i08_delivery_streams_that_are_cut_and_torn_in_the_middle_double_no_mail() {
    let mut faults = Vec::new();
    for nth in 0..20_u8 {
        let at = 2.0 + 0.6 * f64::from(nth);
        let torn = fault(at, Place::VerificationToMailer, 0, Kind::Halve, 0.0);
        faults.push(torn);
        let cut = fault(at + 0.3, Place::VerificationToMailer, 0, Kind::Cut, 0.05);
        faults.push(cut);
    }
    let slow = Moods {
        seed: 1,
        share: 1.0,
        list: vec![Mood::Delay],
    };
    let report = survived(Ground::Sqlite, 16, faults, slow).await;
    assert_eq!(
        report.verdict.doubled, 0,
        "the ledger knows what was offered"
    );
}

fn fault(at: f64, place: Place, replica: usize, kind: Kind, lasting: f64) -> Fault {
    Fault {
        at: Duration::from_secs_f64(at),
        spot: Spot { place, replica },
        kind,
        lasting: Duration::from_secs_f64(lasting),
    }
}

/// Lets people sign up for so many seconds while this befalls their system; nobody is lost.
async fn survived(ground: Ground, seconds: u64, faults: Vec<Fault>, moods: Moods) -> Report {
    let seed = 1;
    let load = Load {
        rate: 20.0,
        lasting: Duration::from_secs(seconds),
        connections: 4,
        repeating: Duration::ZERO,
    };
    let run = Run {
        subject: Subject::Own {
            usher: env!("CARGO_BIN_EXE_load-tests").into(),
            ground,
            dispatcher: Dispatcher::Jetstream,
        },
        load,
        people: People {
            seed,
            tag: "plan".to_owned(),
            gone: 0.0,
            scattered: false,
        },
        plan: Plan(faults),
        phased: false,
        moods,
        typing: Typing { seed, share: 0.5 },
        at_least: 100,
        guesses: 10_000,
        patience: Duration::from_secs(60),
        limit: Duration::from_secs(45),
    };
    let report = run.start().await.expect("the system runs and stops");
    let report = report.expect("nobody interrupts it");
    // Not `println!`: the test harness swallows that of tests that pass.
    let _ = writeln!(io::stderr(), "{report}");
    assert_eq!(report.outcome(), Outcome::Pass);
    assert!(report.surprises.is_empty(), "{:?}", report.surprises);
    report
}
