//! One hostile client: every kind of attack at once on one listener, on a thread of its own.

use std::{io, sync::Arc, thread, thread::JoinHandle, time::Duration};

use rustix::{
    process::{Resource, Rlimit, getrlimit, nice, setrlimit},
    time::{ClockId, clock_gettime},
};
use tokio_util::sync::CancellationToken;

use super::{
    attack::Attack,
    front::{Front, Pace},
    listener::Listener,
    tally::Deeds,
};

/// What one client did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) listener: Listener,
    pub(crate) deeds: Vec<(Attack, Deeds)>,
    /// What it took of the machine.
    pub(crate) cpu: Duration,
}

/// Attacks until `over`.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn attack(
    listener: Listener,
    attacks: &[Attack],
    times: f64,
    over: &CancellationToken,
) -> io::Result<JoinHandle<io::Result<Done>>> {
    let shared = Arc::new(listener);
    let front = |attack: &Attack| {
        let usual = attack.pace();
        let pace = Pace {
            a_second: usual.a_second * times,
            ..usual
        };
        (*attack, Front::new(Arc::clone(&shared), pace))
    };
    let (fronts, over): (Vec<_>, _) = (attacks.iter().map(front).collect(), over.clone());
    let thread = thread::Builder::new().name(format!("hostile to {}", shared.name()));
    thread.spawn(move || {
        // A stranger has a machine of its own. Here it is to take nothing from those whom it
        // attacks but what they spend on it: this thread runs when nobody else wants to.
        let _ = nice(19);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build()?;
        runtime.block_on(async {
            let all = fronts.iter().map(|(attack, front)| attack.run(front));
            over.run_until_cancelled(futures::future::join_all(all))
                .await;
        });
        // Before its connections end with it.
        let deeds = fronts
            .iter()
            .map(|(attack, front)| (*attack, front.tally.deeds()));
        let deeds = deeds.collect();
        drop(runtime);
        Ok(Done {
            listener: Listener::clone(&shared),
            deeds,
            cpu: Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default(),
        })
    })
}

/// As many connections as the system lets one process have; what it starts from now on, too.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Else there are fewer, and the report says how many there were.
    let _ = setrlimit(Resource::Nofile, raised);
}
