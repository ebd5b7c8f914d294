//! Carries a plan of faults out against a system, while `load` goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use crate::{
    faults::{Fault, Kind, Plan},
    system::System,
};

#[derive(Debug, PartialEq, Eq)]
enum Step<'p> {
    Begin(&'p Fault),
    End(&'p Fault),
}

/// Does what is planned, from `start` on, and returns when the last fault is over, with how often
/// each kind met something. `done` is called after each beginning.
pub(crate) async fn befall(
    system: &System,
    plan: &Plan,
    start: Instant,
    mut done: impl FnMut(&Fault),
) -> BTreeMap<Kind, u64> {
    let mut met = BTreeMap::new();
    for (at, step) in steps(plan) {
        sleep_until((start + at).into()).await;
        match step {
            Step::End(fault) => system.end(fault),
            Step::Begin(fault) if system.begin(fault) => {
                *met.entry(fault.kind).or_default() += 1;
                done(fault);
            }
            // It is being started again: then nothing befell it, and it is not counted.
            Step::Begin(_) => {}
        }
    }
    met
}

/// Beginnings and ends, in order.
fn steps(plan: &Plan) -> Vec<(Duration, Step<'_>)> {
    let mut steps = Vec::new();
    for fault in &plan.0 {
        steps.push((fault.at, Step::Begin(fault)));
        if !fault.lasting.is_zero() {
            steps.push((fault.at + fault.lasting, Step::End(fault)));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn what_lasts_ends_in_its_time_and_what_does_not_never() {
        let fault = |at, kind, lasting| Fault {
            at: Duration::from_secs(at),
            spot: Place::Accounts.into(),
            kind,
            lasting: Duration::from_secs(lasting),
        };
        let pause = fault(1, Kind::Pause, 5);
        let kill = fault(2, Kind::Kill, 0);
        let plan = Plan(vec![pause, kill]);
        let due = [
            (Duration::from_secs(1), Step::Begin(&pause)),
            (Duration::from_secs(2), Step::Begin(&kill)),
            (Duration::from_secs(6), Step::End(&pause)),
        ];
        assert_eq!(steps(&plan), due);
    }
}
