//! What a test does that lacks what it needs.

use std::{
    env,
    io::{self, Write as _},
};

/// Says on standard error that this test is skipped: `of` goes on behind its name.
///
/// # Panics
/// Where `CI` is set and the test `is_due` there: nobody reads then what was skipped.
pub fn skip(is_due: bool, of: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let in_ci = env::var_os("CI").is_some();
    assert!(!(is_due && in_ci), "CI skips no tests: {test}{of}");
    // Not `eprintln!`: the test harness swallows that of tests that pass.
    let _ = writeln!(io::stderr(), "skipped: {test}{of}");
}

/// Whether root runs the tests.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
