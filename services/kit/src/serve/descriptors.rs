//! How many files and connections this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to the hard one, and says how many it allows. The soft limit is low for the
/// sake of programs that use `select` (<https://0pointer.net/blog/file-descriptor-limits.html>).
pub(super) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        // Where the kernel has a limit of its own, the soft one stays.
        Err(_) => current,
    };
    // No limit is none that anybody reaches.
    allowed.map_or(usize::MAX, |allowed| {
        usize::try_from(allowed).unwrap_or(usize::MAX)
    })
}
