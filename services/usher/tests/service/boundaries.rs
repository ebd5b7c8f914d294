//! kill −9 between any two steps of the journey, each service a process of its own: whatever it dies
//! of, there is one valid code and one accepted mail; two, of one Message-ID, only where it died
//! between the final dot and its record. Prints its table.

mod ground;
mod person;
mod steps;

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    io::{self, Write as _},
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::join_all};

use ground::Ground;
use person::{Found, Person};
use steps::{ALL, At, Boundary};

use crate::failpoints;

/// Systems that are killed side by side.
const LANES: usize = 3;

/// One line of the table.
struct Line {
    boundary: Boundary,
    found: Found,
    took: Duration,
}

#[tokio::test]
async fn i07_killed_between_any_two_steps_each_account_has_one_valid_code_and_one_accepted_mail() {
    let program = failpoints::program();
    let waiting = RefCell::new(VecDeque::from(ALL));
    let (lines, failed) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let lanes = (0..LANES).map(async |_| {
        let (mut ground, mut people) = (Ground::start(program).await, 0);
        while let Some(boundary) = next(&waiting) {
            people += 1;
            match AssertUnwindSafe(meet(&ground, boundary))
                .catch_unwind()
                .await
            {
                Ok(line) => lines.borrow_mut().push(line),
                Err(_) => {
                    // Its panic has been printed; what it left behind is nobody else's ground.
                    failed.borrow_mut().push(boundary.what);
                    (ground, people) = (Ground::start(program).await, 0);
                }
            }
        }
        ground.is_conserved(people).await;
    });
    join_all(lanes).await;
    print(lines.take());
    assert_eq!(failed.take(), [""; 0]);
}

#[test]
fn every_fail_point_in_the_code_is_a_boundary_that_is_tried() {
    let points = ALL.iter().flat_map(Boundary::places);
    let tried: BTreeSet<String> = points
        .filter_map(|at| match at {
            At::Point(name) => Some(name.to_owned()),
            At::Wire(..) => None,
        })
        .collect();
    assert_eq!(tried, failpoints::names());
}

fn next(waiting: &RefCell<VecDeque<Boundary>>) -> Option<Boundary> {
    waiting.borrow_mut().pop_front()
}

/// Somebody signs up and confirms, and a service dies meanwhile.
async fn meet(ground: &Ground, boundary: Boundary) -> Line {
    let (person, begun) = (Person::new(), Instant::now());
    ground
        .arm(boundary.dies, boundary.places().next(), &person)
        .await;
    let (account, ()) = tokio::join!(
        person.signs_up_and_confirms(ground),
        ground.befall(&boundary, &person)
    );
    ground.is_quiet().await;
    let found = ground.found(&person, account).await;
    assert!(found.is_whole(&person), "{}: {found:?}", boundary.what);
    assert_eq!(
        (found.letters.len(), found.unknown),
        (boundary.mails, boundary.unknown),
        "{}: {found:?}",
        boundary.what
    );
    let took = begun.elapsed();
    Line {
        boundary,
        found,
        took,
    }
}

fn print(mut lines: Vec<Line>) {
    lines.sort_by_key(|line| line.boundary.place());
    let mut table = format!(
        "\n{:12} {:74} {:>5} {:>5} {:>7} {:>7}\n",
        "killed", "between two steps", "codes", "mails", "unknown", "after"
    );
    for Line {
        boundary,
        found,
        took,
    } in &lines
    {
        table += &format!(
            "{:12} {:74} {:>5} {:>5} {:>7} {:>5.1} s\n",
            boundary.dies.name(),
            boundary.what,
            found.codes,
            found.letters.len(),
            found.unknown,
            took.as_secs_f64()
        );
    }
    // Not `println!`, which the harness keeps to itself when a test passes.
    let _ = writeln!(io::stderr(), "{table}");
}
