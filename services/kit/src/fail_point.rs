//! Fail points: places between two steps at which a test lets the process die, as by a power cut.
//! Only builds with the feature `failpoints` have them; in all others one is nothing, not even its
//! name.

/// A place between two steps: `FAILPOINTS=accounts/committed=return` lets the process get SIGKILL
/// when it comes here.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::fail_point::reach($name)
    };
}

/// A place between two steps, which this build does not have.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {};
}

#[cfg(feature = "failpoints")]
mod point {
    use std::{sync::Once, thread};

    use rustix::process::{Signal, getpid, kill_process};

    /// Dies here if the environment says so.
    pub fn reach(name: &str) {
        static ENVIRONMENT: Once = Once::new();
        // For as long as the process lives: what it is to die of is settled at its start.
        ENVIRONMENT.call_once(|| std::mem::forget(fail::FailScenario::setup()));
        fail::fail_point!(name, |_| die());
    }

    /// No destructor runs, no buffer is flushed, no peer is told.
    fn die() {
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            thread::park(); // until the signal is here
        }
    }
}

#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use point::reach;
